"""Short-lived containers that set or read the rules of a network namespace, the only ones with NET_ADMIN."""

from __future__ import annotations

import io
import itertools
import json
import threading
from typing import TYPE_CHECKING, Any

from meshtest.errors import RuntimeFailure
from meshtest.runtime.docker.container import Container

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshtest.runtime.docker.client import Daemon
    from meshtest.runtime.docker.containers import Shape

_TIMEOUT = 60.0


class Held:
    """An init container that waits for a word: its fault comes and goes in milliseconds."""

    def __init__(self, init: Container, remove: Callable[[], Any]) -> None:
        self._init = init
        self._remove = remove
        self._reader = io.BufferedReader(init.line)
        self._lock = threading.Lock()

    def say(self, word: str) -> dict[str, Any]:
        """Say `go`, `count` or `restore`, and hear the answer."""
        with self._lock:
            self._init.line.write(f"{word}\n".encode())
            said = self._reader.readline()
        if not said:
            raise RuntimeFailure(f"{self._init.what}: {self._init.report()}")
        found: dict[str, Any] = json.loads(said)
        return found

    def end(self) -> None:
        """Let go of it."""
        self._init.line.hang_up()
        self._remove()


class Inits:
    """Runs them, one for each thing to do."""

    def __init__(self, daemon: Daemon, shape: Shape, later: Callable[[Callable[[], Any]], Any]) -> None:
        self._daemon = daemon
        self._shape = shape
        self._later = later
        self._numbers = itertools.count(1)

    def hold(self, key: str, owner: str, config: Mapping[str, Any]) -> Held:
        """Have an init container ready that waits for a word; it has rules to set by then."""
        spec = self._shape.init(key, owner, {"held": config}, next(self._numbers))
        init = Container(self._daemon, spec, f"{key} init")
        init.line.on_end = init.line.hang_up
        init.start()
        held = Held(init, lambda: self._later(lambda: self._daemon.remove("container", init.id)))
        held.say("ready")
        return held

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
