"""Processes of the sandbox: forked from the supervisor, their last output kept, hit as a group."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import sys
from typing import TYPE_CHECKING, Any

from meshtest.runtime.netns import kernel

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Mapping
    from typing import NoReturn

    from meshtest.runtime.netns.pods import Namespaces

_KEPT = 1 << 20
"""Bytes of a process's output: enough to count in what an application logs of some thousand requests."""
_SHOWN_LINES = 30
_SIGNALS_OF_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


class Output:
    """The last bytes that came out of a pipe."""

    def __init__(self, descriptor: int, *, limit: int = _KEPT) -> None:
        self.descriptor = descriptor
        self.ended = False
        self._limit = limit
        self._kept = bytearray()
        os.set_blocking(descriptor, False)

    def read(self) -> None:
        """Take what has come; notices the end."""
        while not self.ended:
            try:
                found = os.read(self.descriptor, 65536)
            except BlockingIOError:
                return
            self._kept += found
            if len(self._kept) > 2 * self._limit:  # not at every read, since it moves all that stays
                del self._kept[: -self._limit]
            self.ended = not found

    def text(self) -> str:
        """What is kept, as text."""
        return self._kept[-self._limit :].decode(errors="replace")

    def tail(self) -> str:
        """The last lines of it."""
        return "\n".join(self.text().splitlines()[-_SHOWN_LINES:])


class Process:
    """A child of the supervisor that leads its own process group."""

    def __init__(self, name: str, pid: int, outputs: tuple[Output, ...]) -> None:
        self.name = name
        self.pid = pid
        self.outputs = outputs
        self.status: int | None = None
        self.ready = True
        self.lacking = ""
        self.expected_end = False

    def signal(self, number: int) -> None:
        """Signal it with all it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def gone(self) -> bool:
        """Whether it has ended; what it left behind in its group is ended then too, as with a container."""
        if self.status is None:
            return False
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return True
        return False

    def ended_how(self) -> str:
        """Its end in words."""
        if self.status is None:
            return "is running" if self.ready or not self.lacking else f"is running and {self.lacking}"
        if os.WIFSIGNALED(self.status):
            return f"was ended by {signal.Signals(os.WTERMSIG(self.status)).name}"
        return f"exited with status {os.waitstatus_to_exitcode(self.status)}"

    def report(self) -> str:
        """One line on its state, and its last lines."""
        for output in self.outputs:
            output.read()
        tail = "\n".join(filter(None, (output.tail() for output in self.outputs)))
        return f"{self.name} {self.ended_how()}" + (
            f"; its last lines:\n{tail}" if tail else ", and wrote nothing"
        )


class Forker:
    """Makes children of this process."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def fork(
        self,
        name: str,
        body: Callable[[], int | None],
        *,
        place: Namespaces | None = None,
        keep: Iterable[int] = (),
        separate: bool = False,
    ) -> Process:
        """Run `body` in a child that holds no descriptor but its standard ones and `keep`."""
        pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(2 if separate else 1)]
        gc.freeze()
        pid = os.fork()
        if pid == 0:
            self._run(body, place, (pipes[0][1], pipes[-1][1]), sorted(keep))
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)  # the child does it too: whoever comes first
        for _, writer in pipes:
            os.close(writer)
        limit = 16 << 20 if separate else _KEPT
        return Process(name, pid, tuple(Output(reader, limit=limit) for reader, _ in pipes))

    def _run(
        self,
        body: Callable[[], int | None],
        place: Namespaces | None,
        output: tuple[int, int],
        keep: list[int],
    ) -> NoReturn:
        code = 1
        try:
            os.setpgid(0, 0)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _standard_streams(*output)
            if place is not None:
                place.enter()
                with contextlib.suppress(OSError):
                    os.chdir(self._directory)  # entering a mount namespace leads to its root
            _close_all_but(keep)
            code = body() or 0
        except SystemExit as exc:
            code = exc.code if isinstance(exc.code, int) else int(exc.code is not None)
        except BaseException:  # noqa: BLE001 - this is the child's outermost frame
            import traceback  # noqa: PLC0415 - only a child that fails needs it

            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)


def start_role(
    forker: Forker, name: str, target: str, config: Mapping[str, Any], sock: socket.socket
) -> Process:
    """Start one of meshtest's own processes, which speaks to pytest or to the supervisor over `sock`."""

    def body() -> int | None:
        name_process(name.rpartition("/")[2])
        return call_role(target, dict(config), sock)

    return forker.fork(name, body, keep=(sock.fileno(),))


class EarlyRole:
    """A role that starts before it is known what it shall do: it loads what it needs and waits to be told."""

    def __init__(self, forker: Forker, name: str, target: str, sock: socket.socket) -> None:
        reader, self._writer = os.pipe2(os.O_CLOEXEC)

        def body() -> int | None:
            name_process(name.rpartition("/")[2])
            __import__(target.partition(":")[0])
            if not select.select([reader], [], [], 0)[0]:
                warm(target)
            with os.fdopen(reader, encoding="utf-8") as told:
                config = json.load(told)
            return call_role(target, config, sock)

        self.process = forker.fork(name, body, keep=(sock.fileno(), reader))
        os.close(reader)

    def tell(self, config: Mapping[str, Any]) -> None:
        """Say what it shall do; one that has ended already is found by whoever waits for it."""
        with contextlib.suppress(BrokenPipeError), os.fdopen(self._writer, "w", encoding="utf-8") as out:
            json.dump(dict(config), out)


def warm(target: str) -> None:
    """Load a role before it is started or forked; one that cannot be loaded says so when it starts."""
    module = target.partition(":")[0]
    with contextlib.suppress(Exception):
        __import__(module)
        prepare = getattr(sys.modules[module], "warm", None)
        if prepare is not None:
            prepare()


def execute(argv: tuple[str, ...], env: Mapping[str, str]) -> NoReturn:
    """Become another program; one that cannot be started says so and exits with 127, as a shell would."""
    for number in _SIGNALS_OF_PYTHON:
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvpe(argv[0], list(argv), dict(env))  # noqa: S606 - as the user gave it
    except OSError as exc:
        os.write(2, f"cannot run {argv[0]!r}: {exc.strerror}\n".encode())
    os._exit(127)


def call_role(target: str, *arguments: object) -> int | None:
    """Call `package.module:function`."""
    module, _, name = target.partition(":")
    __import__(module)
    function = getattr(sys.modules[module], name)
    result: int | None = function(*arguments)
    return result


def _standard_streams(stdout: int, stderr: int) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    # Both are copied out of the way first: either may itself be number 1 or 2.
    out, err = os.dup(stdout), os.dup(stderr)
    os.dup2(out, 1)
    os.dup2(err, 2)


def _close_all_but(keep: list[int]) -> None:
    first = 3
    for descriptor in keep:
        os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, os.sysconf("SC_OPEN_MAX"))


def name_process(name: str) -> None:
    """Show in ps what this process is."""
    with contextlib.suppress(OSError):
        kernel.set_process_name(name)
