"""The runtime of real containers: whether it can run here, what it can do, how it starts."""

from __future__ import annotations

import atexit
import contextlib
import functools
import sys
import threading
from typing import TYPE_CHECKING

from meshtest.errors import RuntimeFailure
from meshtest.runtime.base import Capability
from meshtest.runtime.docker import cleaning, image, labels, surroundings
from meshtest.runtime.docker.client import Daemon
from meshtest.runtime.docker.container import Container
from meshtest.runtime.docker.containers import Shape
from meshtest.runtime.docker.labels import Run
from meshtest.runtime.docker.network import Network
from meshtest.runtime.docker.sandbox import DockerSandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshtest.runtime.base import SandboxPlan
    from meshtest.wire import Frame

_FIRST = "10.244"
"""As on netns, and as in many a cluster; further runs on the same daemon take the next ones."""
_PREFIXES = (
    _FIRST,
    *(f"10.{number}" for number in range(245, 256)),
    *(f"10.{number}" for number in range(200, 244)),
)
_OVERLAP = ("overlaps", "already allocated", "no available", "in use by")


class DockerRuntime:
    """Pods as containers; see `meshtest.runtime.base.Runtime`."""

    name = "docker"
    socket_mark: int | None = None
    """Envoy has a uid of its own here."""
    brings_envoy = True

    def __init__(self) -> None:
        self._run: Run | None = None
        self._network: Network | None = None
        self._reaper: Container | None = None
        self._reaping: threading.Thread | None = None
        self._shape: Shape | None = None

    @property
    def resolver(self) -> str:
        """Its own address: the rules that give it the cluster's may come after Envoy's first question."""
        if self._network is None:
            self.reserve()
        assert self._network is not None  # noqa: S101 - reserved
        return self._network.resolver

    def capabilities(self) -> frozenset[Capability]:
        """What it can do here."""
        return frozenset(
            {Capability.IMAGES, Capability.PACKET_LOSS, Capability.PAUSE, Capability.RESOURCE_LIMITS}
        )

    def missing(self) -> str | None:
        """Why it cannot run here and what to change; None if it can."""
        try:
            self.daemon  # noqa: B018 - connects
        except RuntimeFailure as exc:
            return str(exc)
        return None

    def describe(self) -> str:
        """The daemon, and whether the image is there, in words."""
        wanted = image.recipe(self.daemon).tag
        there = "is there" if self.daemon.has_image(wanted) else "is built by the first mesh (about a minute)"
        return f"daemon {self.daemon.version} at {self.daemon.host or 'the usual socket'}; image {wanted} {there}"

    def left_behind(self) -> list[cleaning.Resource]:
        """What dead runs left."""
        return cleaning.left_behind(self.daemon)

    def clean(self) -> int:
        """Remove what dead runs left; returns how many things that were."""
        return cleaning.remove(self.daemon, self.left_behind())

    @functools.cached_property
    def daemon(self) -> Daemon:
        """The daemon; raises RuntimeFailure where none answers."""
        return Daemon()

    def reserve(self) -> str:
        """Make the next sandbox's network; returns the first two numbers of its pods' addresses."""
        name = image.find_or_build(self.daemon, _say)
        self.clean()
        self._run = run = Run.new()
        marked = {**surroundings.session_labels(), **run.labels}
        self._network = self._make_network(run, marked)
        self.daemon.create_volume(run.name, "size=64m,uid=1337,gid=1337,mode=0700", marked)
        self._shape = Shape(
            run=run, image_name=name, network=self._network, volume=run.name, extra_labels=marked
        )
        self._reaping = threading.Thread(
            target=self._start_reaper, args=(self._shape,), name="meshtest-reaper"
        )
        self._reaping.start()
        return self._network.prefix

    def start(
        self,
        plan: SandboxPlan,
        on_access: Callable[[str, bytes], None],
        on_event: Callable[[str, Frame], None] | None = None,
    ) -> DockerSandbox:
        """Start everything and return at once."""
        if self._shape is None:
            self.reserve()
        assert self._shape is not None  # noqa: S101 - reserved
        return DockerSandbox(self.daemon, self._shape, plan, on_access, on_event)

    def release(self) -> None:
        """Remove everything of the run; where Docker has ended, when this process does, or at the next start."""
        run, self._run, self._shape = self._run, None, None
        if run is None:
            return
        if self._reaping is not None:
            self._reaping.join()
        self.daemon.make_no_more()
        try:
            cleaning.remove(self.daemon, cleaning.of_run(self.daemon, run.name))
            self.clean()  # again: of a run that was killed a moment ago, something may have appeared late
        except RuntimeFailure:
            atexit.register(_remove_at_last, run.name)
        if self._reaper is not None:
            self._reaper.line.hang_up()
        self.daemon.close()

    def _make_network(self, run: Run, marked: Mapping[str, str]) -> Network:
        for prefix in _PREFIXES:
            network = Network(name=run.name, prefix=prefix)
            try:
                self.daemon.create_network(run.name, network.subnet, network.gateway, marked)
            except RuntimeFailure as exc:
                if not any(word in str(exc).lower() for word in _OVERLAP):
                    raise
            else:
                return network
        raise RuntimeFailure("the daemon has no free network 10.x.0.0/16 left: docker network prune")

    def _start_reaper(self, shape: Shape) -> None:
        """Without one, the next start cleans up."""
        if surroundings.reaper_disabled():
            return
        with contextlib.suppress(RuntimeFailure):
            reaper = Container(
                self.daemon, shape.reaper(surroundings.daemon_socket(self.daemon.host)), labels.RUN
            )
            reaper.line.on_end = reaper.line.hang_up
            reaper.start()
            self._reaper = reaper


def _remove_at_last(run: str) -> None:
    """Docker may be back by now."""
    with contextlib.suppress(RuntimeFailure):
        daemon = Daemon()
        cleaning.remove_at_exit(daemon, cleaning.of_run(daemon, run))
        daemon.close()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - progress of the one slow step, building the image
