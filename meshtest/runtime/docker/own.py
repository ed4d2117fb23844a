"""One of meshtest's own processes as a container, and the channel to it, which outlives it."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from meshtest.errors import RuntimeFailure
from meshtest.runtime.base import Action
from meshtest.runtime.docker import programs
from meshtest.runtime.docker.container import Container
from meshtest.runtime.docker.containers import CONTROL_PLANE
from meshtest.runtime.docker.streams import Line, channel

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.runtime.base import Role
    from meshtest.runtime.docker.client import Daemon
    from meshtest.runtime.docker.containers import Shape
    from meshtest.wire import Frame


_WORDS = {CONTROL_PLANE: "the control plane"}


class OwnProcess:
    """The control plane, the resolver, Toxiproxy."""

    def __init__(
        self,
        daemon: Daemon,
        shape: Shape,
        name: str,
        role: Role,
        address: str,
        on_event: Callable[[Frame], None] | None,
    ) -> None:
        self.name = name
        self.address = address
        self.line = Line()
        self.line.on_end = self._ended
        self.channel = channel(_WORDS.get(name, name), self.line, on_event)
        self._ending = False
        self._daemon = daemon
        self._shape = shape
        self._role = role
        self._container: Container | None = None

    @property
    def id(self) -> str:
        """The container's, once there is one."""
        return self._container.id if self._container else ""

    def start(self) -> None:
        """Make the container and start it."""
        argv, files = programs.moved([str(word) for word in self._role.config.get("argv", ())])
        role = replace(self._role, config={**self._role.config, "argv": argv}) if files else self._role
        spec = self._shape.own(self.name, role, self.address, writable=bool(files))
        self._container = Container(self._daemon, spec, self.name)
        if files:
            self._daemon.copy_in(self._container.id, files)
        self._container.line = self.line
        self._container.start()

    def running(self) -> bool:
        """Whether it does."""
        return bool(self.id) and bool(self._daemon.state(self.id)["Running"])

    def signal(self, action: Action) -> None:
        """Kill, stop, pause, resume or start it again."""
        if self._container is None:
            raise RuntimeFailure(f"{self.name} has not been started")
        self._ending = action in {Action.KILL, Action.STOP}
        self._container.signal(action)

    def _ended(self) -> None:
        """Whoever waits for an answer shall know that none will come, unless it is to be started again."""
        if not self._ending:
            self.fail(self._daemon.lost())

    def fail(self, cause: RuntimeFailure | None) -> None:
        """Nobody shall wait for it any more."""
        self.channel.cause = cause
        self.line.hang_up()

    def hang_up(self) -> None:
        """Let go of its streams."""
        self.line.hang_up()

    def remove(self) -> None:
        """Take the container away."""
        self.hang_up()
        with contextlib.suppress(RuntimeFailure):
            self._daemon.remove("container", self.id)

    def logs(self) -> str:
        """Its last lines."""
        return self._container.logs() if self._container else ""
