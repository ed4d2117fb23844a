"""Init containers of users' images: each runs to its end before the next one, and all before the application.

As with the kubelet one that fails is started again; here only for a while, so that the error comes soon.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from meshtest.errors import RuntimeFailure
from meshtest.runtime.docker import programs
from meshtest.runtime.docker.container import Container

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.runtime.base import Image, PodPlan
    from meshtest.runtime.docker.client import Daemon
    from meshtest.runtime.docker.containers import Shape

_PATIENCE = 15.0
"""Seconds in which one that fails is started again: it may ask for somebody who only comes up himself."""
_PAUSE = 1.0
"""Seconds between two starts; the kubelet's ten are long for a test."""
_LONGEST = 3600.0


class Preparing:
    """The init containers of one pod."""

    def __init__(self, daemon: Daemon, shape: Shape, plan: PodPlan, tell: Callable[[str], None]) -> None:
        self.made: list[Container] = []
        self._daemon = daemon
        self._shape = shape
        self._plan = plan
        self._tell = tell

    def run(self, image: Image, owner: str) -> None:
        """Make all of them and run one after the other; raises RuntimeFailure where one fails."""
        for name, each in image.before.items():
            self._tell(f"{each.reference} is being pulled")
            self._daemon.ensure_image(each.reference)
            spec = self._shape.image(self._plan, each, owner, name)
            made = Container(self._daemon, spec, f"{self._plan.pod.key} init container {name}")
            self.made.append(made)
            if files := programs.mounted(each.disk):
                self._daemon.copy_in(made.id, files, each.disk.group)
        for name, made in zip(image.before, self.made, strict=True):
            self._tell(f"its init container {name} runs")
            self._to_its_end(made)

    def _to_its_end(self, made: Container) -> None:
        deadline = time.monotonic() + _PATIENCE
        while True:
            made.start()
            code = self._daemon.wait(made.id, made.what, _LONGEST)
            if code == 0:
                return
            if time.monotonic() > deadline:
                raise RuntimeFailure(f"{made.what} ended with {code}\n{made.logs()}".rstrip())
            time.sleep(_PAUSE)
