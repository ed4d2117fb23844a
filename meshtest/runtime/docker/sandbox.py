"""pytest's end of a sandbox of containers."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import TYPE_CHECKING

from meshtest.errors import RuntimeFailure
from meshtest.runtime.base import Action, Image, Role
from meshtest.runtime.docker import cleaning, pod_rules
from meshtest.runtime.docker.containers import CONTROL_PLANE, NAMES_ROLE, RESOLVER, Shape
from meshtest.runtime.docker.drivers import Drivers
from meshtest.runtime.docker.inits import Inits
from meshtest.runtime.docker.own import OwnProcess
from meshtest.runtime.docker.placing import Placing
from meshtest.runtime.docker.pods import DockerPod
from meshtest.runtime.docker.spoiling import PacketLoss, WrongNames
from meshtest.runtime.netns import spec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshtest.runtime.base import Completed, Lost, NameFault, NetworkPlan, Part, PodPlan, SandboxPlan
    from meshtest.runtime.docker.client import Daemon
    from meshtest.runtime.docker.inits import Held
    from meshtest.runtime.docker.spoiling import Place
    from meshtest.runtime.netns import losing
    from meshtest.runtime.netns.netlink import Message
    from meshtest.runtime.netns.rules import ClusterIps
    from meshtest.wire import Asking, Channel, Frame

_THREADS = 48


class DockerSandbox:
    """A sandbox of containers; see `meshtest.runtime.base.Sandbox`."""

    def __init__(
        self,
        daemon: Daemon,
        shape: Shape,
        plan: SandboxPlan,
        on_access: Callable[[str, bytes], None],
        on_event: Callable[[str, Frame], None] | None = None,
    ) -> None:
        self.timings: dict[str, float] = {}
        self.ended_processes: list[str] = []
        self._began = time.monotonic()
        self._daemon = daemon
        self._shape = shape
        self._on_access = on_access
        self._on_event = on_event
        self._closed = False
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="meshtest-docker")
        self._helpers = ThreadPoolExecutor(_THREADS, thread_name_prefix="meshtest-docker-part")
        """For the parts of a pod, for which a thread of the other pool waits."""
        self._pods: dict[str, DockerPod] = {}
        self._own: dict[str, OwnProcess] = {}
        self._placing = Placing(shape.network)
        self._ips: ClusterIps = {}
        """What every pod knows."""
        self._gone: set[str] = set()
        """Addresses of pods that were removed."""
        self._lock = threading.Lock()
        self._network = plan.network
        net = shape.network
        control_plane = self._own_process(CONTROL_PLANE, plan.control_plane, net.control_plane)
        resolver = self._own_process(RESOLVER, Role(target=NAMES_ROLE), net.resolver)
        self.control_plane, self._names = control_plane.channel, WrongNames(resolver.channel)
        self._inits = Inits(daemon, shape, self._helpers.submit)
        self._packets = PacketLoss(self._places, self._hold_inits, self._pool)
        self._drivers = Drivers(daemon, plan.driver, self._owner_of)
        self.driver: Asking = self._drivers
        self._starting: list[tuple[str, Future[None]]] = [
            (CONTROL_PLANE, self._pool.submit(control_plane.start)),
            (RESOLVER, self._pool.submit(self._start_resolver, resolver)),
            *self._start_pods(plan.pods),
        ]
        for _, starting in self._starting:
            starting.add_done_callback(lambda done: _tell_of_failure(control_plane, done))

    # -- starting --------------------------------------------------------------------------------------------

    def _own_process(self, name: str, role: Role, address: str) -> OwnProcess:
        own = OwnProcess(self._daemon, self._shape, name, role, address, self._listener(name))
        self._own[name] = own
        return own

    def _listener(self, name: str) -> Callable[[Frame], None] | None:
        tell = self._on_event
        return None if tell is None else (lambda frame: tell(name, frame))

    def _start_resolver(self, resolver: OwnProcess) -> None:
        resolver.start()
        self._tell_names(self._network)

    def _start_pods(self, plans: Sequence[PodPlan]) -> list[tuple[str, Future[None]]]:
        placed = [self._placing.placed(plan) for plan in plans]
        self._lead(self._placing.cluster_ips(self._network))
        ips = self._ips
        made = [DockerPod(self._daemon, self._shape, self._inits, plan, self._note) for plan in placed]
        self._pods.update({pod.key: pod for pod in made})
        return [
            (pod.key, self._pool.submit(pod.start, ips, sorted(self._gone), self._helpers.submit))
            for pod in made
        ]

    def ready(self, timeout: float) -> None:
        """Wait until every container has started and every application is ready."""
        self._await(self._starting, timeout)
        self.timings["ready"] = time.monotonic() - self._began

    def _await(self, starting: Sequence[tuple[str, Future[None]]], timeout: float) -> None:
        done, waiting = wait([future for _, future in starting], timeout, return_when="FIRST_EXCEPTION")
        for future in done:
            problem = future.exception()
            if problem is not None:
                raise problem
        if waiting:
            names = [name for name, future in starting if future in waiting]
            stages = [f"{name}: {self._pods[name].stage}" if name in self._pods else name for name in names]
            raise RuntimeFailure("\n".join([f"after {timeout:g} s: not ready:", *stages]))
        self._inits.clear()

    # -- changing --------------------------------------------------------------------------------------------

    def add_pods(self, pods: Sequence[PodPlan], timeout: float) -> None:
        """Start more pods and wait until they are ready."""
        back = self._gone & {pod.pod.ip for pod in pods}
        if back:
            self._set_gone(self._gone - back)
        self._await(self._start_pods(pods), timeout)

    def remove_pods(self, keys: Sequence[str]) -> None:
        """End pods and their network."""
        gone = [self._pods.pop(key) for key in keys if key in self._pods]
        for pod in gone:
            pod.hang_up()
        cleaning.remove(self._daemon, [one for pod in gone for one in pod.resources()])
        self._set_gone(self._gone | {pod.plan.pod.ip for pod in gone})

    def _set_gone(self, gone: set[str]) -> None:
        """Have every pod refuse at once what goes to pods that were removed."""
        if gone != self._gone:
            self._gone = gone
            self._set_rules(pod_rules.gone(sorted(gone)))

    def set_network(self, network: NetworkPlan) -> None:
        """Replace cluster IPs and names."""
        self._network = network
        self._lead(self._placing.cluster_ips(network))
        self._tell_names(network)

    def _tell_names(self, network: NetworkPlan) -> None:
        agents = {self._placing.real(address): names for address, names in network.agents.items()}
        self._names.set_network(spec.network_to_json(replace(network, agents=agents)))

    def _lead(self, ips: ClusterIps) -> None:
        """Have every pod that runs know these cluster IPs."""
        old, self._ips = self._ips, ips
        if old != ips and self._pods:
            self._set_rules(pod_rules.services(old, ips))

    def _set_rules(self, messages: Sequence[Message]) -> None:
        list(self._pool.map(lambda pod: pod.set_rules(messages), list(self._pods.values())))

    def address(self, name: str) -> str:
        """Where the process of this name can listen: an address that no pod has."""
        return self._placing.address(name)

    def role(self, name: str, role: Role) -> Channel:
        """Start a process between the pods, unless one of this name runs; returns the channel to it."""
        address = self.address(name)
        with self._lock:
            known = self._own.get(name)
            if known is None or not known.running():
                if known is not None:
                    known.remove()
                known = self._own_process(name, role, address)
                known.start()
        return known.channel

    # -- spoiling --------------------------------------------------------------------------------------------

    def arm(self, name: str, lost: Sequence[Lost]) -> None:
        """Get ready to lose packets at once when `lose` is called."""
        self._packets.arm(name, [self._placing.really(one) for one in lost])

    def lose(self, name: str, lost: Sequence[Lost]) -> None:
        """Have packets vanish from now on, also those of connections that exist."""
        self._packets.lose(name, [self._placing.really(one) for one in lost])

    def lost(self, name: str) -> int:
        """How many packets have vanished so."""
        return self._packets.lost(name)

    def restore(self, name: str) -> int:
        """Let packets through again and return how many have vanished."""
        return self._packets.restore(name)

    def misname(self, name: str, fault: NameFault | None) -> None:
        """Have the resolver answer wrongly from now on, or rightly again."""
        self._names.misname(name, fault)

    def misnamed(self, name: str) -> int:
        """How many queries have been answered so."""
        return self._names.misnamed(name)

    def _places(self) -> dict[str, Place]:
        """Who owns the network namespace at an address."""
        pods = {pod.plan.pod.ip: (pod.key, pod.owner.id) for pod in self._pods.values() if pod.owner}
        own = {one.address: (name, one.id) for name, one in self._own.items() if one.id}
        return {**own, **pods}

    def _hold_inits(self, name: str, asked: Sequence[tuple[Place, Sequence[losing.Lost]]]) -> list[Held]:
        def hold(one: tuple[Place, Sequence[losing.Lost]]) -> Held:
            (key, owner), lost = one
            return self._inits.hold(key, owner, name, lost)

        return list(self._pool.map(hold, asked))

    # -- processes -------------------------------------------------------------------------------------------

    def signal(self, pod: str, part: Part, action: Action) -> None:
        """Kill, stop, pause, resume or start again one half of a pod, or one of meshtest's own processes."""
        own = self._own.get(pod)
        if own is None:
            self._pod(pod).signal(part, action)
            return
        own.signal(action)
        if pod == RESOLVER and action is Action.START:
            self._names.tell()  # one that is started again knows no names

    def limit(self, pod: str, cpus: float | None, memory: int | None) -> None:
        """Give a pod's application so many CPUs and bytes from now on; None: what it had at its start."""
        found = self._pod(pod)
        if found.application is None:
            raise RuntimeFailure(f"{pod} has no application")
        own = found.plan.application
        if isinstance(own, Image):
            cpus = own.cpus if cpus is None else cpus
            memory = own.memory if memory is None else memory
        self._daemon.limit(found.application.id, found.application.what, cpus, memory)

    def execute(self, pod: str, argv: Sequence[str], *, timeout: float) -> Completed:
        """Run a program inside a pod, in its application's container if it has one."""
        found = self._pod(pod)
        container = found.application or found.owner
        assert container is not None  # noqa: S101 - a pod that was started
        task = self._pool.submit(self._daemon.execute, container.id, argv)
        try:
            return task.result(timeout)
        except TimeoutError:
            raise RuntimeFailure(f"{pod}: {' '.join(argv)} did not end within {timeout:g} s") from None

    def logs(self, pod: str, part: Part) -> str:
        """The last lines that a half of a pod wrote."""
        return self._own[pod].logs() if pod in self._own else self._pod(pod).logs(part)

    def _pod(self, key: str) -> DockerPod:
        if key not in self._pods:
            raise RuntimeFailure(f"there is no pod {key}")
        return self._pods[key]

    def _owner_of(self, key: str) -> str | None:
        pod = self._pods.get(key)
        return pod.owner.id if pod is not None and pod.owner is not None else None

    def _note(self, pod: str, part: Part, frame: Frame) -> None:
        if frame.header["event"] == "access":
            self._on_access(pod, frame.payload)
            return
        self.ended_processes.append(f"{pod} {part.value} ended with {frame.header['status']}")
        if self._on_event is not None:
            self._on_event("sandbox", frame)

    # -- the end ---------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End everything; idempotent."""
        if self._closed:
            return
        self._closed = True
        for part in (self._drivers, self._packets, self._inits):
            part.close()
        speaking: list[DockerPod | OwnProcess] = [*self._pods.values(), *self._own.values()]
        for one in speaking:
            one.hang_up()
        for pool in (self._pool, self._helpers):
            pool.shutdown(wait=False, cancel_futures=True)


def _tell_of_failure(control_plane: OwnProcess, started: Future[None]) -> None:
    """Whoever waits for a control plane to say that all sidecars are ready shall hear of what keeps one from it."""
    problem = None if started.cancelled() else started.exception()
    if isinstance(problem, RuntimeFailure):
        control_plane.fail(problem)
