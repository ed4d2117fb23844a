"""The beginning of a sandbox, before anybody has said what shall run in it.

Namespaces, a supervisor in them, and a control plane that loads what it needs and waits.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from meshtest.errors import RuntimeFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

END = 3.0
"""Seconds that an orderly end may take."""
_PROGRAM = f"""
import sys
sys.path[:] = sys.argv.pop().split({os.pathsep!r})
from meshtest.runtime.netns.launcher import main
main(sys.argv[1:])
"""


class Launcher:
    """The launcher's process, and the thread that started it.

    The thread lives as long as the process: the kernel ends the process when the thread that made it ends.
    """

    def __init__(self, arguments: Sequence[str], descriptors: Sequence[int]) -> None:
        self._arguments = arguments
        self._descriptors = descriptors
        self._process: subprocess.Popen[bytes] | None = None
        self._failure: OSError | None = None
        self._started = threading.Event()
        self._ended = threading.Event()
        self.stdout = b""
        self.stderr = b""
        self.status: int | None = None
        threading.Thread(target=self._run, name="meshtest-launcher", daemon=True).start()
        self._started.wait()
        if self._failure is not None:
            raise RuntimeFailure(f"cannot start {sys.executable}: {self._failure}") from self._failure

    def wait(self, timeout: float) -> bool:
        """Whether it has ended within `timeout` seconds."""
        return self._ended.wait(timeout)

    def end(self) -> None:
        """Wait for its end, which comes when the sandbox's has; one that takes too long is killed."""
        if not self.wait(END):
            self.kill()
            self.wait(END)

    def kill(self) -> None:
        """End it at once, and with it the sandbox."""
        if self._process is not None:
            self._process.kill()

    def _run(self) -> None:
        try:
            self._process = subprocess.Popen(
                launcher_command(self._arguments),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=tuple(self._descriptors),
                start_new_session=True,  # Ctrl-C is pytest's to answer
            )
        except OSError as exc:
            self._failure = exc
            return
        finally:
            self._started.set()
        self.stdout, self.stderr = self._process.communicate()
        self.status = self._process.returncode
        self._ended.set()


def launcher_command(arguments: Sequence[str]) -> list[str]:
    """Start Python bare, without site-packages' start-up files, but with this process's import path."""
    root = str(Path(__file__).parents[3])
    path = os.pathsep.join([root, *(entry for entry in sys.path if entry)])
    bytecode = ["-B"] if sys.dont_write_bytecode else []
    return [sys.executable, "-I", "-S", "-u", *bytecode, "-c", _PROGRAM, *arguments, path]


class Beginning:
    """The launcher, and our ends of the sockets to those it starts."""

    def __init__(self, targets: Sequence[str]) -> None:
        """Start the role of the first target, and load those of the others, which are forked later."""
        kinds = (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_STREAM, socket.SOCK_STREAM)
        pairs = [socket.socketpair(type=kind) for kind in kinds]
        ours, theirs = zip(*pairs, strict=True)
        numbers = [sock.fileno() for sock in theirs]
        try:
            self.launcher = Launcher([*map(str, numbers), *targets], numbers)
        except RuntimeFailure:
            for sock in ours:
                sock.close()
            raise
        finally:
            for sock in theirs:
                sock.close()
        self.control, self.descriptors, self.control_plane, self.driver = ours

    def close(self) -> None:
        """End what was begun, where nothing came of it."""
        sockets = (self.control, self.descriptors, self.control_plane, self.driver)
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self.launcher.end()
        for sock in sockets:
            sock.close()
