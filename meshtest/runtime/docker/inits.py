"""Short-lived containers that set or read the rules of a network namespace, the only ones with NET_ADMIN."""

from __future__ import annotations

import io
import itertools
import json
from typing import TYPE_CHECKING, Any

from meshtest.errors import RuntimeFailure
from meshtest.runtime.docker.container import Container

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshtest.runtime.docker.client import Daemon
    from meshtest.runtime.docker.containers import Shape

_TIMEOUT = 60.0


class Inits:
    """Runs them, one for each thing to do."""

    def __init__(self, daemon: Daemon, shape: Shape, later: Callable[[Callable[[], Any]], Any]) -> None:
        self._daemon = daemon
        self._shape = shape
        self._later = later
        self._numbers = itertools.count(1)

    def run(self, key: str, owner: str, config: Mapping[str, Any]) -> dict[str, Any]:
        """Do something in the namespace that a container owns; returns what the init container says."""
        spec = self._shape.init(key, owner, config, next(self._numbers))
        init = Container(self._daemon, spec, f"{key} init")
        init.line.on_end = init.line.hang_up
        init.start()
        said = io.BufferedReader(init.line).read()
        if self._daemon.wait(init.id, init.what, _TIMEOUT) != 0:
            raise RuntimeFailure(f"the rules of {key} cannot be set: {init.report()}")
        self._later(lambda: self._daemon.remove("container", init.id))
        found: dict[str, Any] = json.loads(said or b"{}")
        return found
