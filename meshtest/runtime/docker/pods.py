"""A pod of containers: how it comes up, what can be done to its halves, and its end."""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meshtest.errors import RuntimeFailure
from meshtest.runtime.base import Action, Command, Image, Part, Role
from meshtest.runtime.docker import pod_rules, programs
from meshtest.runtime.docker.container import ALL_LINES, LINES, Container
from meshtest.runtime.docker.native import NativeProxy
from meshtest.runtime.docker.preparing import Preparing
from meshtest.runtime.docker.streams import channel
from meshtest.runtime.netns.rules import OUTBOUND_PORT
from meshtest.runtime.netns.starting import PortProbe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from meshtest.runtime.base import PodPlan
    from meshtest.runtime.docker.cleaning import Resource
    from meshtest.runtime.docker.client import Daemon
    from meshtest.runtime.docker.containers import Shape
    from meshtest.runtime.docker.inits import Hands, Inits
    from meshtest.runtime.docker.programs import Files
    from meshtest.runtime.netns.netlink import Message
    from meshtest.runtime.netns.rules import ClusterIps
    from meshtest.wire import Channel, Frame

_SIGNALS = {
    Action.KILL: signal.SIGKILL,
    Action.STOP: signal.SIGTERM,
    Action.PAUSE: signal.SIGSTOP,
    Action.RESUME: signal.SIGCONT,
}
_ENDING = {Action.KILL, Action.STOP}
_GRACE = 5.0
_SYSCTLS = "/proc/sys/"
"""In what Docker says of a kernel that has not the settings asked for."""
_START = 30.0
_MARGIN = 5.0
_GLANCE = 0.5
"""Seconds between looks at whether an application that does not listen yet still runs."""


class DockerPod:
    """One pod; `start` returns when its rules are set and its application is ready."""

    def __init__(
        self,
        daemon: Daemon,
        shape: Shape,
        inits: Inits,
        plan: PodPlan,
        on_event: Callable[[str, Part, Frame], None],
    ) -> None:
        self.plan = plan
        self.key = plan.pod.key
        self._daemon = daemon
        self._shape = shape
        self._on_event = on_event
        self.owner: Container | None = None
        self.application: Container | None = None
        self.proxy: NativeProxy | None = None
        self._holder: Channel | None = None
        """To the first container's holder, and so to Envoy."""
        self._role: Channel | None = None
        """To the application, if it is one of meshtest's own."""
        self._inits = inits
        self._preparing = Preparing(daemon, shape, plan, self._tell)
        self.stage = "not begun"

    def start(
        self,
        cluster_ips: ClusterIps,
        gone: Sequence[str],
        background: Callable[[Callable[[], Any]], Future[Any]],
    ) -> None:
        """Start everything of the pod; what can be made before its first container runs is made meanwhile."""
        self.stage = "its first container is being started"
        holder, init, application, proxy = self._make(background)
        self.proxy = native = proxy.result()
        up = background(lambda: native.start(holder)) if native else None
        self.stage = "rules are being set"
        messages = [*self._shape.first_rules(self.plan, cluster_ips), *pod_rules.gone(gone)]
        rules = background(lambda: self._inits.begin(init.result(), messages))
        if isinstance(self.plan.application, Role):
            # A stand-in calls nobody of itself: it may come up while the rules are set.
            self._start_application(application.result())
        rules.result()
        if not isinstance(self.plan.application, Role):
            self._prepare()
            self._start_application(application.result())
        self.stage = "its Envoy is not up"
        if up is not None:
            up.result()
        self.stage = "ready"

    def _make(
        self, background: Callable[[Callable[[], Any]], Future[Any]]
    ) -> tuple[Channel, Future[Hands], Future[Container | None], Future[NativeProxy | None]]:
        """Start the first container, and make the others meanwhile."""
        self.owner = owner = Container(self._daemon, self._shape.owner(self.plan), f"{self.key} sidecar")
        init = background(lambda: self._inits.make(self.key, owner.id))
        application = background(lambda: self._make_application(owner.id))
        proxy = background(lambda: self._make_proxy(owner.id))
        self._holder = holder = channel(owner.what, owner.line, self._note, cause=self._daemon.lost)
        try:
            owner.start()
        except RuntimeFailure as exc:
            if _SYSCTLS not in str(exc) or not self._shape.sysctls:
                raise
        else:
            return holder, init, application, proxy
        # A kernel without them: some log lines of TCP connections are lost there, as rarely as in a cluster.
        self._shape = replace(self._shape, sysctls={})
        native, made = proxy.result(), application.result()
        late = [init.result().container, *([native.container] if native else []), *([made] if made else [])]
        for each in (*late, owner):
            self._daemon.remove("container", each.id)
        return self._make(background)

    def set_rules(self, messages: Sequence[Message]) -> None:
        """Set rules in the pod's namespace; an init container does it."""
        assert self.owner is not None  # noqa: S101 - asked of started pods only
        self._inits.run(self.key, self.owner.id, messages)

    def _make_proxy(self, owner: str) -> NativeProxy | None:
        return NativeProxy(self._daemon, self._shape, self.plan, owner) if self.plan.proxy_image else None

    def _make_application(self, owner: str) -> Container | None:
        application = self.plan.application
        if application is None:
            return None
        files: Files = {}
        group = None
        if isinstance(application, Role):
            spec = self._shape.application(self.plan, application, owner)
        elif isinstance(application, Image):
            self.stage = f"{application.reference} is being pulled"
            self._daemon.ensure_image(application.reference)
            spec, files = self._shape.image(self.plan, application, owner), programs.mounted(application.disk)
            group = application.disk.group
        else:
            group = application.disk.group
            command, files = programs.translated(application)
            files |= programs.mounted(command.disk)
            spec = self._shape.program(self.plan, command, owner)
        made = Container(self._daemon, spec, f"{self.key} application")
        if files:
            self._daemon.copy_in(made.id, files, group)
        return made

    def _prepare(self) -> None:
        """Run the init containers; as in a cluster with native sidecars they are part of the mesh already."""
        application = self.plan.application
        if not isinstance(application, Image) or not application.before:
            return
        assert self.owner is not None  # noqa: S101 - it was started
        if self.plan.interception is not None and self.plan.bootstrap is not None:
            self.stage = "its Envoy is not up"
            self._ask(self._holder, "ports", _START, ports=[OUTBOUND_PORT])
        self._preparing.run(application, self.owner.id)

    def _tell(self, stage: str) -> None:
        self.stage = stage

    def _start_application(self, made: Container | None) -> None:
        if made is None:
            return
        self.stage = "its application is not ready"
        self.application = made
        if isinstance(self.plan.application, Role):
            self._role = channel(made.what, made.line, self._note_application, cause=self._daemon.lost)
        made.start()
        self._await_application(made)

    def _await_application(self, application: Container) -> None:
        if self._role is not None:
            self._start_child(Part.APPLICATION)
            return
        wanted = ports = list(self.plan.readiness_ports)
        first = 0.0
        while ports:
            ports = self._ask(self._holder, "ports", _GLANCE, ports=ports).get("ports", [])
            if ports and not self._daemon.state(application.id)["Running"]:
                raise RuntimeFailure(application.report())
            self.stage = f"its application does not listen on {', '.join(map(str, ports))}"
            if len(ports) < len(wanted):
                first = first or time.monotonic()
                if (
                    time.monotonic() - first > PortProbe.GRACE
                ):  # a Service may lead to a port that nobody opens
                    return

    def signal(self, part: Part, action: Action) -> None:
        """Kill, stop, pause, resume or start again one half."""
        if part is Part.APPLICATION and self.application is None:
            raise RuntimeFailure(f"{self.key} has no application")
        if part is Part.SIDECAR and self.plan.bootstrap is None:
            raise RuntimeFailure(f"{self.key} has no sidecar")
        own = self._holder if part is Part.SIDECAR else self._role
        if part is Part.SIDECAR and self.proxy is not None:
            self._signal_proxy(self.proxy, action)
        elif own is None:
            self._signal_container(action)
        elif action is Action.START:
            self._start_child(part)
        else:
            self._ask(own, "signal", _GRACE, signal=int(_SIGNALS[action]), gone=action in _ENDING)

    def _signal_proxy(self, proxy: NativeProxy, action: Action) -> None:
        assert self._holder is not None  # noqa: S101 - asked of started pods only
        if action is Action.START:
            proxy.start(self._holder)
        else:
            proxy.signal(action)

    def _signal_container(self, action: Action) -> None:
        """A user's program is its container's first process, and Docker's to deal with."""
        assert self.application is not None  # noqa: S101 - asked before
        self.application.signal(action)
        if action is Action.START:
            self._await_application(self.application)

    def _start_child(self, part: Part) -> None:
        own = self._holder if part is Part.SIDECAR else self._role
        answer = self._ask(own, "start", _START)
        if not answer["running"]:
            ended = f" ended with {answer['status']}" if answer["status"] is not None else " does not start"
            raise RuntimeFailure(f"{self.key} {part.value}{ended}\n{self.logs(part, LINES)}".rstrip())

    def _ask(self, own: Channel | None, op: str, within: float, **fields: Any) -> dict[str, Any]:
        assert own is not None  # noqa: S101 - asked of started pods only
        return own.call(op, timeout=within + _MARGIN, within=within, **fields).header

    def logs(self, part: Part, lines: int = ALL_LINES) -> str:
        """The last lines of one half."""
        sidecar = self.proxy.container if self.proxy is not None else self.owner
        found = self.application if part is Part.APPLICATION else sidecar
        if found is None:
            raise RuntimeFailure(f"{self.key} has no {part.value}")
        return found.logs(lines)

    def resources(self) -> list[Resource]:
        """Its containers, the owner of the network last, and the volumes that they share."""
        proxy = self.proxy.container if self.proxy is not None else None
        found = (*self._preparing.made, self.application, proxy, self.owner)
        own = self.plan.application
        shared = own.disk.shared.values() if isinstance(own, (Image, Command)) else ()
        volumes = {self._shape.volume_of(self.key, name) for name in shared}
        return [
            *(("container", each.id) for each in found if each is not None),
            *(("volume", name) for name in sorted(volumes)),
        ]

    def hang_up(self) -> None:
        """Let go of its streams."""
        for found in (self.application, self.owner):
            if found is not None:
                found.line.hang_up()

    def _note(self, frame: Frame) -> None:
        self._on_event(self.key, Part.SIDECAR, frame)

    def _note_application(self, frame: Frame) -> None:
        self._on_event(self.key, Part.APPLICATION, frame)
