"""PID 1 of a pod's first container: keeps the network namespace, runs Envoy, hands on its access log.

    standard input ──► {"op": "start" | "signal" | "ports" | "there"} ──► answers, access log bytes ──► standard output

Started bare (`python -I -S`) in every pod, so it imports little. Envoy is its child and not the container itself:
a sidecar that is killed and started again must find the pod's network as it was. When standard input ends,
because pytest's process has, everything in the container does.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import struct
import sys
import time

TYPE_CHECKING = False
"""Loading typing takes longer than all the rest."""
if TYPE_CHECKING:
    from typing import Any

CONFIG = "MESHTEST_CONFIG"
_LENGTHS = struct.Struct(">II")
_CHUNK = 1 << 18
_STEP = 0.01
_LISTEN = "0A"
_PIPE_SIZE = 256 * 1024
_SET_PIPE_SIZE = 1031


class Holder:
    """One pod's sidecar and what is asked of it."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._argv: list[str] = config.get("argv") or []
        self._needs: str = config.get("needs") or ""
        self._log: str = config.get("access_log") or ""
        self._child = 0
        self._ready = True
        self._wanted = bool(self._argv)
        self._asked = False
        self._status: int | None = None
        self._buffer = bytearray()
        self._pending: list[dict[str, Any]] = []
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Serve until standard input ends."""
        child, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        os.set_blocking(0, False)
        self._selector.register(0, selectors.EVENT_READ, self._read)
        self._selector.register(child, selectors.EVENT_READ, lambda: self._collect(child))
        if self._log:
            self._selector.register(self._open_log(), selectors.EVENT_READ, self._forward)
        while True:
            waiting = bool(self._pending) or (self._wanted and not self._child)
            for key, _ in self._selector.select(_STEP if waiting else None):
                key.data()
            self._advance()

    def _open_log(self) -> int:
        if not os.path.exists(self._log):  # noqa: PTH110 - pathlib takes as long to load as all the rest
            os.mkfifo(self._log, 0o600)
        self._reader = os.open(self._log, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            import fcntl  # noqa: PLC0415 - only for sidecars

            fcntl.fcntl(self._reader, _SET_PIPE_SIZE, _PIPE_SIZE)
        except OSError:
            pass  # a smaller pipe is still a pipe
        return self._reader

    def _forward(self) -> None:
        try:
            found = os.read(self._reader, _CHUNK)
        except BlockingIOError:
            return
        _send({"event": "access"}, found)

    def _read(self) -> None:
        found = os.read(0, _CHUNK)
        if not found:
            os._exit(0)
        self._buffer += found
        while len(self._buffer) >= _LENGTHS.size:
            size, extra = _LENGTHS.unpack_from(self._buffer)
            end = _LENGTHS.size + size + extra
            if len(self._buffer) < end:
                return
            frame = json.loads(bytes(self._buffer[_LENGTHS.size : _LENGTHS.size + size]))
            del self._buffer[:end]
            frame["until"] = time.monotonic() + float(frame.get("within", 5.0))
            self._begin(frame)
            self._pending.append(frame)

    def _begin(self, frame: dict[str, Any]) -> None:
        if frame["op"] == "start":
            self._wanted, self._needs = True, ""  # whoever asks for it now means now
            if not self._child and self._asked:
                self._status = None
        elif frame["op"] == "signal":
            self._signal(int(frame["signal"]))

    def _signal(self, number: int) -> None:
        if number in {signal.SIGKILL, signal.SIGTERM}:
            self._wanted = False
            self._asked = True
        if self._child:
            os.kill(self._child, number)
            if number == signal.SIGTERM:
                os.kill(self._child, signal.SIGCONT)  # else one that is paused would never see the other

    def _advance(self) -> None:
        if self._wanted and not self._child and _is_there(self._needs):
            self._launch()
        self._pending = [frame for frame in self._pending if not self._answer(frame)]

    def _answer(self, frame: dict[str, Any]) -> bool:
        late = time.monotonic() >= frame["until"]
        if frame["op"] == "ports":
            open_ = _listening()
            frame["ports"] = [port for port in frame["ports"] if port not in open_]
            done = not frame["ports"]
        elif frame["op"] == "there":
            done = _is_there(frame["path"])
        elif frame["op"] == "start":
            # One that ended at once says so by its status, and is not waited for.
            done = (bool(self._child) and self._ready) or self._status is not None
        elif frame["op"] == "signal" and frame.get("gone"):
            done = not self._child
            if late and not done:
                os.kill(self._child, signal.SIGKILL)
                frame["until"] = float("inf")
        else:
            done = True
        if done or late:
            left = {} if done else {"ports": frame.get("ports", [])}
            _send(
                {
                    "id": frame["id"],
                    "running": bool(self._child) and self._ready,
                    "status": self._status,
                    "done": done,
                    **left,
                }
            )
        return done or late

    def _launch(self) -> None:
        self._asked = False
        pid = os.fork()
        if pid == 0:
            try:
                self._be_child()
            except BaseException as exc:  # noqa: BLE001 - said where Docker's stream carries it
                os.write(2, f"{self._argv[0]}: {type(exc).__name__}: {exc}\n".encode())
            finally:
                os._exit(127)
        self._child, self._status = pid, None

    def _be_child(self) -> None:
        """Be Envoy, in the forked child: its words go to standard error, which pytest reads."""
        signal.set_wakeup_fd(-1)
        null = os.open("/dev/null", os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(2, 1)
        os.execv(self._argv[0], self._argv)  # noqa: S606 - there is none in between

    def _collect(self, child: int) -> None:
        os.read(child, 4096)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._child:
                self._child, self._status, self._wanted = 0, os.waitstatus_to_exitcode(status), False
                if not self._asked:
                    _send({"event": "ended", "status": self._status})


def _is_there(path: str) -> bool:
    """Whether somebody listens on a Unix socket."""
    if not path:
        return True
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(path) == 0


def _listening() -> set[int]:
    """The TCP ports of the pod that somebody listens on; a connection from here would be Envoy's own and redirected."""
    found = set()
    for name in ("tcp", "tcp6"):
        try:
            with open(f"/proc/net/{name}", encoding="ascii") as table:  # noqa: PTH123 - as above
                lines = table.readlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN:
                found.add(int(fields[1].rpartition(":")[2], 16))
    return found


def _send(header: dict[str, Any], payload: bytes = b"") -> None:
    text = json.dumps(header).encode()
    view = memoryview(_LENGTHS.pack(len(text), len(payload)) + text + payload)
    while view:
        view = view[os.write(1, view) :]


if __name__ == "__main__":
    Holder(json.loads(os.environ.pop(CONFIG))).run()
    sys.exit(0)
