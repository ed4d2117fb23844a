"""One of meshtest's own processes as a container, and the channel to it, which outlives it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from meshtest.errors import RuntimeFailure
from meshtest.runtime.docker import programs
from meshtest.runtime.docker.container import Container
from meshtest.runtime.docker.streams import Line, channel

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.runtime.base import Action, Role
    from meshtest.runtime.docker.client import Daemon
    from meshtest.runtime.docker.containers import Shape
    from meshtest.wire import Frame


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
        self.channel = channel(name, self.line, on_event)
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
        argv = [str(word) for word in self._role.config.get("argv", ())]
        files = programs.files_of(argv)
        spec = self._shape.own(self.name, self._role, self.address, writable=bool(files))
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
        self._container.signal(action)

    def remove(self) -> None:
        """Take the container away."""
        self.line.hang_up()
        with contextlib.suppress(RuntimeFailure):
            self._daemon.remove("container", self.id)

    def logs(self) -> str:
        """Its last lines."""
        return self._container.logs() if self._container else ""
