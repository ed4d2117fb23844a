"""The sandbox as it stands: its network, its pods and their processes, and how each of them comes about."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, Any

from meshtest.runtime.base import Part, Role
from meshtest.runtime.netns import files, spec, starting
from meshtest.runtime.netns.network import Router
from meshtest.runtime.netns.pods import Namespaces, PodPlace
from meshtest.runtime.netns.processes import Process, start_role, warm
from meshtest.runtime.netns.stream import FrameSocket
from meshtest.runtime.netns.supervisor import CONTROL_PLANE, DRIVER
from meshtest.runtime.netns.table import ProcessTable, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from meshtest.runtime.base import Command
    from meshtest.runtime.netns.processes import Forker


_NAME_SIZE = 1024


class Pod:
    """A pod that runs: its place and its processes."""

    def __init__(self, place: PodPlace) -> None:
        self.place = place
        self.parts: dict[Part, Process] = {}


class Site:
    """Everything in a sandbox; sidecars are held back until the control plane listens."""

    def __init__(
        self,
        forker: Forker,
        descriptors: socket.socket,
        channels: dict[str, socket.socket],
        timings: dict[str, float],
    ) -> None:
        self.forker = forker
        self.table = ProcessTable()
        self.watch_resolver: Callable[[FrameSocket], None] = lambda _: None
        self.pods: dict[str, Pod] = {}
        self.own: dict[str, Process] = {}
        """meshtest's own processes, by names such as `meshtest/control-plane`."""
        self.channels = channels
        self.timings = timings
        self.listening = False
        self._descriptors = descriptors
        self.home = Namespaces()
        self._router: Router | None = None
        self._resolver: FrameSocket | None = None
        self._roles: dict[str, dict[str, Any]] = {}
        self._added: set[str] = set()
        self._sidecars_waiting: list[Pod] = []
        self._envoy: tuple[str, int] = ("", 1)
        self._numbers = iter(range(1 << 16))
        self._zone: dict[str, Any] = {}
        self._agents: dict[str, Any] = {}
        self.name_faults: dict[str, dict[str, Any]] = {}
        """What the resolver answers wrongly on purpose, by fault, in the order of injection."""
        self.name_hits: dict[str, int] = {}
        self._zones_sent = 0
        self._zones_known = 0

    def adopt(self, process: Process) -> None:
        """Take in the control plane, which was started before anything else."""
        self.own[process.name] = self.table.add(process)

    def open(self, plan: dict[str, Any]) -> None:
        """Make the network between the pods, and note what else will be started."""
        self._envoy = (plan["envoy"], plan["concurrency"])
        self._roles = {
            CONTROL_PLANE: plan["control_plane"],
            DRIVER: plan["driver"],
            spec.RESOLVER: {"target": "meshtest.runtime.netns.resolver:main", "config": {}},
        }
        self._router = Router()
        self._start_resolver()
        self.set_network(plan["network"])

    def mark(self, name: str) -> None:
        """Note when a stage was reached."""
        self.timings[name] = time.monotonic()

    def warm(self, targets: Collection[str]) -> None:
        """Load roles before they are forked."""
        for target in dict.fromkeys(targets):
            warm(target)
            self.advance()

    def start_own(self, name: str) -> Process:
        """Start one of meshtest's own processes."""
        role = self._roles[name]
        process = start_role(self.forker, name, role["target"], role["config"], self.channels[name])
        self.own[name] = self.table.add(process)
        if name == spec.RESOLVER and self._resolver is not None:
            self._tell_resolver(self._resolver)  # one that is started again knows no names
        return process

    def add_own(self, name: str, role: dict[str, Any]) -> bool:
        """Start a role that no plan has named, with the socket sent before; False if it runs already."""
        _, received, _, _ = socket.recv_fds(self._descriptors, _NAME_SIZE, 1)
        channel = socket.socket(fileno=received[0])
        if name in self.own and self.own[name].status is None:
            channel.close()
            return False
        self._added.add(name)
        self._roles[name], self.channels[name] = role, channel
        self.start_own(name)
        return True

    def _start_resolver(self) -> None:
        ours, theirs = socket.socketpair()
        self.channels[spec.RESOLVER] = theirs
        self._resolver = FrameSocket(ours)
        self.watch_resolver(self._resolver)
        self.start_own(spec.RESOLVER)

    def set_network(self, network: dict[str, Any]) -> None:
        """Replace cluster IPs and names; `names_known` says when the resolver has the latter."""
        if self._router is None or self._resolver is None:
            raise Refused("the sandbox has not been started")
        self._router.set_cluster_ips(network)
        self._zone, self._agents = network["zone"], network["agents"]
        self._tell_resolver(self._resolver)

    def _tell_resolver(self, resolver: FrameSocket) -> None:
        self._zones_sent += 1
        faults = list(self.name_faults.values())
        told = {"zone": self._zone, "agents": self._agents, "faults": faults}
        resolver.send({"id": self._zones_sent, "op": "zone", **told})

    def tell_name_faults(self) -> None:
        """Have the resolver answer by `name_faults`, and say how many queries each has met."""
        if self._resolver is None:
            raise Refused("the sandbox has not been started")
        self._zones_sent += 1
        faults = list(self.name_faults.values())
        self._resolver.send({"id": self._zones_sent, "op": "faults", "faults": faults})

    @property
    def names_known(self) -> bool:
        """Whether the resolver answers by the names that it was given last."""
        return self._zones_known == self._zones_sent

    def zone_known(self, number: int, hits: dict[str, int]) -> None:
        """The resolver answers by a zone from now on; so many queries have met each fault."""
        self._zones_known = number
        self.name_hits |= hits  # one that was started again counts only those it met itself

    def ended(self, pid: int, status: int) -> Process | None:
        """Note the end of a child; returns it if nobody asked for it."""
        process = self.table.ended(pid, status)
        if process is None or (process.expected_end and process.name not in self._added):
            return None
        channel = self.channels.pop(process.name, None)
        if channel is not None:
            channel.close()  # so that pytest's process, which speaks to it, learns of the end
        return None if process.expected_end else process

    @property
    def polls(self) -> bool:
        """Whether something has to be looked at again soon, without an event that says when."""
        return self.table.polls or not self.listening

    def advance(self) -> None:
        """Look at what has no event of its own."""
        if not self.listening and self._router is not None and _listens(str(files.XDS_SOCKET)):
            self.listening = True
            self.mark("listening")
            waiting, self._sidecars_waiting = self._sidecars_waiting, []
            for pod in waiting:
                self.start_sidecar(pod)
            self.mark("sidecars")
        self.table.advance()

    def make_pods(self, found: list[dict[str, Any]]) -> list[Pod]:
        """Make pods with their network; their sidecars start as soon as the control plane listens."""
        pods = [Pod(PodPlace(spec.pod_from_json(one), next(self._numbers), self.home)) for one in found]
        self.pods.update({pod.place.spec.key: pod for pod in pods})
        self.tell_router()
        for pod in pods:
            if pod.place.spec.bootstrap is not None:
                self._prepare_sidecar(pod)
        return pods

    def forget(self, key: str) -> Pod:
        """Take a pod out; its processes and its place are the caller's to end."""
        pod = self.pods.pop(key)
        self._sidecars_waiting = [other for other in self._sidecars_waiting if other is not pod]
        return pod

    def tell_router(self) -> None:
        """Tell the router which pods there are."""
        if self._router is not None:
            self._router.set_pods([pod.place for pod in self.pods.values()])

    def _prepare_sidecar(self, pod: Pod) -> None:
        starting.write_bootstrap(pod.place.spec)
        reader = pod.place.open_access_log()
        socket.send_fds(self._descriptors, [pod.place.spec.key.encode()], [reader])
        os.close(reader)
        if self.listening:
            self.start_sidecar(pod)
        else:
            self._sidecars_waiting.append(pod)

    def start_applications(self, pods: Collection[Pod]) -> None:
        """Start the applications of new pods."""
        for pod in pods:
            if pod.place.spec.application is not None:
                self.start_application(pod, pod.place.spec.application)
                self.advance()

    def start_sidecar(self, pod: Pod) -> Process:
        """Start the Envoy of a pod."""
        process = starting.start_sidecar(self.forker, pod.place, *self._envoy)
        pod.parts[Part.SIDECAR] = self.table.add(process)
        return process

    def start_application(self, pod: Pod, application: Role | Command) -> Process:
        """Start a pod's application."""
        process, probe = starting.start_application(self.forker, pod.place, application, self.home)
        pod.parts[Part.APPLICATION] = self.table.add(process, probe)
        return process


def roles_of(pods: Collection[Pod]) -> list[str]:
    """The roles that stand as applications in some pods."""
    applications = (pod.place.spec.application for pod in pods)
    return [application.target for application in applications if isinstance(application, Role)]


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(0)
        return sock.connect_ex(path) == 0
