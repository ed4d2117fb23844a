"""The Envoy of an image of Istio's proxy as a container of its own, beside the pod's first one.

Docker starts, stops and pauses it, as it does users' images. Its access log goes to the first container's holder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.envoy.bootstrap import socket_path
from meshtest.errors import RuntimeFailure
from meshtest.runtime.docker.container import Container
from meshtest.runtime.docker.containers import DIRECTORY, XDS

if TYPE_CHECKING:
    from meshtest.runtime.base import Action, PodPlan
    from meshtest.runtime.docker.client import Daemon
    from meshtest.runtime.docker.containers import Shape
    from meshtest.wire import Channel

_GLANCE = 0.5
"""Seconds between looks at whether an Envoy that is not up yet still runs."""
_START = 60.0
_MARGIN = 5.0


class NativeProxy:
    """Istio's own Envoy in one pod."""

    def __init__(self, daemon: Daemon, shape: Shape, plan: PodPlan, owner: str) -> None:
        self._daemon = daemon
        self._admin = socket_path(DIRECTORY, plan.pod.key, "admin")
        daemon.ensure_image(plan.proxy_image)
        self.container = Container(daemon, shape.proxy(plan, owner), f"{plan.pod.key} proxy")

    def start(self, holder: Channel) -> None:
        """Start it once there is a control plane and a reader of its log; returns when it is up."""
        if not _there(holder, XDS, _START):
            raise RuntimeFailure(f"{self.container.what}: the control plane does not listen")
        self.container.start()
        while not _there(holder, self._admin, _GLANCE):
            if not self._daemon.state(self.container.id)["Running"]:
                raise RuntimeFailure(self.container.report())

    def signal(self, action: Action) -> None:
        """Kill, stop, pause, resume or start it again."""
        self.container.signal(action)


def _there(holder: Channel, path: str, within: float) -> bool:
    return bool(holder.call("there", timeout=within + _MARGIN, within=within, path=path).header["done"])
