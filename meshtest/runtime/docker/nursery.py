"""PID 1 of a stand-in's container: has the role loaded, and forks it as often as it is started.

    standard input ──► {"op": "start" | "signal"} ──► answers ──► standard output

What takes long about a stand-in is loading it; so one that was killed is there again at once, as on netns.
"""

from __future__ import annotations

import importlib
import json
import os
import selectors
import signal
import sys
from typing import Any

from meshtest.runtime.docker.holder import Holder

CONFIG = "MESHTEST_CONFIG"


class Nursery(Holder):
    """One role; it is ready when it has written a byte to `ready_fd`."""

    def __init__(self, target: str, config: dict[str, Any]) -> None:
        super().__init__({"argv": [target]})
        module, _, name = target.partition(":")
        self._function = getattr(importlib.import_module(module), name)
        self._config = config
        self._pipe: tuple[int, int] | None = None

    def _launch(self) -> None:
        self._ready = False
        self._pipe = os.pipe2(os.O_CLOEXEC)
        super()._launch()
        reader, writer = self._pipe
        os.close(writer)
        self._selector.register(reader, selectors.EVENT_READ, lambda: self._announced(reader))

    def _announced(self, reader: int) -> None:
        self._ready = bool(os.read(reader, 1))
        self._selector.unregister(reader)
        os.close(reader)

    def _be_child(self) -> None:
        """Be the role, in the forked child."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(2, 1)
        assert self._pipe is not None  # noqa: S101 - made just before
        self._function({**self._config, "ready_fd": self._pipe[1]}, None)


if __name__ == "__main__":
    Nursery(sys.argv[1], json.loads(os.environ.pop(CONFIG))).run()
