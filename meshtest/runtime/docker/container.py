"""One container that meshtest made: its start, what can be done to it, and its last words."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from meshtest.errors import RuntimeFailure
from meshtest.runtime.base import Action
from meshtest.runtime.docker.streams import Line

if TYPE_CHECKING:
    from meshtest.runtime.docker.client import ContainerSpec, Daemon

_CALLS = {Action.KILL: "kill", Action.STOP: "stop", Action.PAUSE: "pause", Action.RESUME: "unpause"}
_ENDING = {Action.KILL, Action.STOP}
LINES, ALL_LINES = 200, 20_000
"""Of a container's output: for a message, and for whoever asks for its log."""


class Container:
    """A container that may be spoken to."""

    def __init__(self, daemon: Daemon, spec: ContainerSpec, what: str) -> None:
        self._daemon = daemon
        self.spec = spec
        self.what = what
        self.line = Line()
        self.id = daemon.create(spec)

    def start(self) -> None:
        """Start it, or start it again."""
        if not self.spec.attached:
            self._daemon.start(self.id, self.what)
            return
        stream = self._daemon.attach(self.id, self.what)  # before the start: nothing of its output is missed
        try:
            self._daemon.start(self.id, self.what)
        except RuntimeFailure:
            stream.close()
            raise
        self.line.connect(stream)  # and nothing is said to it before there is somebody to hear it

    def signal(self, action: Action) -> None:
        """Kill, stop, pause, resume or start it again."""
        if action is Action.START:
            if self._daemon.state(self.id)["Running"]:
                raise RuntimeFailure(f"{self.what} is running")
            self.start()
            return
        if action in _ENDING:
            with contextlib.suppress(RuntimeFailure):
                self._daemon.signal(self.id, self.what, "unpause")
        self._daemon.signal(self.id, self.what, _CALLS[action])

    def report(self) -> str:
        """What became of it, with its last lines."""
        state = self._daemon.state(self.id)
        ended = f"ended with {state['ExitCode']}" if not state["Running"] else "runs"
        words = b"".join(self.line.errors).decode(errors="replace") or self._text()
        return f"{self.what} {ended}\n{words}".rstrip()

    def _text(self, lines: int = LINES) -> str:
        with contextlib.suppress(RuntimeFailure):
            return self._daemon.logs(self.id, lines)
        return ""

    def logs(self, lines: int = LINES) -> str:
        """Its last lines."""
        return b"".join(self.line.errors).decode(errors="replace") or self._text(lines)
