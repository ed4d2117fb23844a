"""What the supervisor can be asked to do."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

from meshtest.runtime.base import Action, Part, Role
from meshtest.runtime.netns import files, spec, starting
from meshtest.runtime.netns.network import Router
from meshtest.runtime.netns.pods import Namespaces, PodPlace
from meshtest.runtime.netns.processes import Process, execute, start_role
from meshtest.runtime.netns.stream import FrameSocket
from meshtest.runtime.netns.supervisor import CONTROL_PLANE, DRIVER
from meshtest.runtime.netns.table import ProcessTable, Refused, all_ready

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from meshtest.runtime.base import Command
    from meshtest.runtime.netns.processes import Forker

Answer = dict[str, Any]
Request = dict[str, Any]
_GRACE = 5.0
_NEVER = float("inf")


class Pending:
    """A request that waits: `done` gives the answer once there is one; `late` is called once at the deadline."""

    def __init__(
        self,
        done: Callable[[], Answer | None],
        *,
        within: float = _NEVER,
        late: Callable[[], None] | None = None,
    ) -> None:
        self.ticket = 0
        self.deadline = time.monotonic() + within
        self._done = done
        self._late = late

    def poll(self) -> Answer | None:
        """Ask for the answer."""
        if self._late is not None and time.monotonic() >= self.deadline:
            late, self._late, self.deadline = self._late, None, _NEVER
            late()
        return self._done()


class Pod:
    """A pod that runs: its place and its processes."""

    def __init__(self, place: PodPlace) -> None:
        self.place = place
        self.parts: dict[Part, Process] = {}


class Operations:
    """The sandbox's state and every change of it."""

    def __init__(
        self,
        forker: Forker,
        descriptors: socket.socket,
        channels: dict[str, socket.socket],
        timings: dict[str, float],
    ) -> None:
        self.table = ProcessTable()
        self.resolver: FrameSocket | None = None
        self.watch_resolver: Callable[[FrameSocket], None] = lambda _: None
        self._forker = forker
        self._descriptors = descriptors
        self._channels = channels
        self._timings = timings
        self._home = Namespaces()
        self._router: Router | None = None
        self._pods: dict[str, Pod] = {}
        self._own: dict[str, Process] = {}
        self._roles: dict[str, dict[str, Any]] = {}
        self._sidecars_waiting: list[Pod] = []
        self._listening = False
        self._envoy: tuple[str, int] = ("", 1)
        self._numbers = iter(range(1 << 16))
        self._zones_sent = 0
        self._zones_known = 0

    def begin(self, request: Request) -> Pending:
        """Start to work on a request."""
        operations: dict[str, Callable[[Request], Pending]] = {
            "start": self._start,
            "add_pods": self._add_pods,
            "remove_pods": self._remove_pods,
            "set_network": self._set_network,
            "signal": self._signal,
            "execute": self._execute,
            "logs": self._logs,
            "state": self._state,
        }
        return operations[request["op"]](request)

    def adopt(self, process: Process) -> None:
        """Take in the control plane, which was started before anything else."""
        self._own[process.name] = self.table.add(process)

    def _start(self, request: Request) -> Pending:
        plan = request["plan"]
        self._envoy = (plan["envoy"], plan["concurrency"])
        self._roles = {
            CONTROL_PLANE: plan["control_plane"],
            DRIVER: plan["driver"],
            spec.RESOLVER: {"target": "meshtest.runtime.netns.resolver:main", "config": {}},
        }
        self._router = Router()
        self._start_resolver()
        self._apply_network(plan["network"])
        self._mark("router")
        pods = self._make_pods(plan["pods"])
        self._mark("networks")
        self._warm([plan["driver"]["target"], *self._targets(pods)])
        self._mark("warm")
        self._start_own(DRIVER)
        self._start_applications(pods)
        self._mark("applications")
        return Pending(lambda: {"timings": self._timings} if self._all_ready(pods, "ready") else None)

    def _mark(self, name: str) -> None:
        self._timings[name] = time.monotonic()

    @staticmethod
    def _targets(pods: Collection[Pod]) -> list[str]:
        applications = (pod.place.spec.application for pod in pods)
        return [application.target for application in applications if isinstance(application, Role)]

    def _warm(self, targets: Collection[str]) -> None:
        for target in dict.fromkeys(targets):
            starting.warm(target)
            self.advance()

    def _start_own(self, name: str) -> Process:
        role = self._roles[name]
        process = start_role(self._forker, name, role["target"], role["config"], self._channels[name])
        self._own[name] = self.table.add(process)
        return process

    def _start_resolver(self) -> None:
        ours, theirs = socket.socketpair()
        self._channels[spec.RESOLVER] = theirs
        self.resolver = FrameSocket(ours)
        self.watch_resolver(self.resolver)
        self._start_own(spec.RESOLVER)

    def _all_ready(self, pods: Collection[Pod], mark: str = "") -> bool:
        own = self._own.values()
        parts = [process for pod in pods for process in pod.parts.values()]
        ready = all_ready([*own, *parts]) and self._listening and self._zones_known == self._zones_sent
        if ready and mark:
            self._mark(mark)
        return ready

    def ended(self, pid: int, status: int) -> Process | None:
        """Note the end of a child; returns it if nobody asked for it."""
        process = self.table.ended(pid, status)
        if process is None or process.expected_end:
            return None
        channel = self._channels.pop(process.name, None)
        if channel is not None:
            channel.close()  # so that pytest's process, which speaks to it, learns of the end
        return process

    @property
    def polls(self) -> bool:
        """Whether something has to be looked at again soon, without an event that says when."""
        return self.table.polls or not self._listening

    def advance(self) -> None:
        """Look at what has no event of its own."""
        if not self._listening and self._router is not None and _listens(str(files.XDS_SOCKET)):
            self._listening = True
            self._mark("listening")
            waiting, self._sidecars_waiting = self._sidecars_waiting, []
            for pod in waiting:
                self._start_sidecar(pod)
            self._mark("sidecars")
        self.table.advance()

    def _make_pods(self, found: list[dict[str, Any]]) -> list[Pod]:
        pods = [Pod(PodPlace(spec.pod_from_json(one), next(self._numbers), self._home)) for one in found]
        self._pods.update({pod.place.spec.key: pod for pod in pods})
        self._tell_router()
        for pod in pods:
            if pod.place.spec.bootstrap is not None:
                self._prepare_sidecar(pod)
        return pods

    def _tell_router(self) -> None:
        if self._router is not None:
            self._router.set_pods([pod.place for pod in self._pods.values()])

    def _start_applications(self, pods: Collection[Pod]) -> None:
        for pod in pods:
            if pod.place.spec.application is not None:
                self._start_application(pod, pod.place.spec.application)
                self.advance()

    def _prepare_sidecar(self, pod: Pod) -> None:
        starting.write_bootstrap(pod.place.spec)
        reader = pod.place.open_access_log()
        socket.send_fds(self._descriptors, [pod.place.spec.key.encode()], [reader])
        os.close(reader)
        if self._listening:
            self._start_sidecar(pod)
        else:
            self._sidecars_waiting.append(pod)

    def _start_sidecar(self, pod: Pod) -> Process:
        process = starting.start_sidecar(self._forker, pod.place, *self._envoy)
        pod.parts[Part.SIDECAR] = self.table.add(process)
        return process

    def _start_application(self, pod: Pod, application: Role | Command) -> Process:
        process, probe = starting.start_application(self._forker, pod.place, application, self._home)
        pod.parts[Part.APPLICATION] = self.table.add(process, probe)
        return process

    def _add_pods(self, request: Request) -> Pending:
        pods = self._make_pods(request["pods"])
        self._warm(self._targets(pods))
        self._start_applications(pods)
        return Pending(lambda: {} if self._all_ready(pods) else None)

    def _remove_pods(self, request: Request) -> Pending:
        gone = [self._pods.pop(key) for key in request["keys"] if key in self._pods]
        processes = [process for pod in gone for process in pod.parts.values()]
        for process in processes:
            process.expected_end = True
            process.signal(signal.SIGKILL)
        self._sidecars_waiting = [pod for pod in self._sidecars_waiting if pod not in gone]

        def done() -> Answer | None:
            remaining = [process for process in processes if not process.gone()]  # ends what is left of each
            if remaining:
                return None
            for pod in gone:
                pod.place.close()
            self._tell_router()
            return {}

        return Pending(done)

    def _set_network(self, request: Request) -> Pending:
        self._apply_network(request["network"])
        return Pending(lambda: {} if self._zones_known == self._zones_sent else None)

    def _apply_network(self, network: dict[str, Any]) -> None:
        if self._router is None or self.resolver is None:
            raise Refused("the sandbox has not been started")
        self._router.set_cluster_ips(network)
        self._zones_sent += 1
        self.resolver.send({"id": self._zones_sent, "op": "zone", "zone": network["zone"]})

    def zone_known(self, number: int) -> None:
        """The resolver answers by a zone from now on."""
        self._zones_known = number

    def _process(self, request: Request) -> Process:
        key, part = request["pod"], Part(request["part"])
        if key in self._own:
            return self._own[key]
        found = self._pod(key).parts.get(part)
        if found is None:
            raise Refused(f"{key} has no {part.value}")
        return found

    def _pod(self, key: str) -> Pod:
        if key not in self._pods:
            raise Refused(f"there is no pod {key}")
        return self._pods[key]

    def _signal(self, request: Request) -> Pending:
        process, action = self._process(request), Action(request["action"])
        if action is Action.START:
            return self._start_again(request, process)
        if action in {Action.PAUSE, Action.RESUME}:
            process.signal(signal.SIGSTOP if action is Action.PAUSE else signal.SIGCONT)
            return Pending(dict)
        process.expected_end = True
        process.signal(signal.SIGKILL if action is Action.KILL else signal.SIGTERM)
        process.signal(signal.SIGCONT)  # else one that is paused would never see the other
        return Pending(
            lambda: {} if process.gone() else None,
            within=_GRACE,
            late=lambda: process.signal(signal.SIGKILL),
        )

    def _start_again(self, request: Request, old: Process) -> Pending:
        if old.status is None:
            raise Refused(f"{old.name} is running")
        key = request["pod"]
        if key in self._own:
            if key not in self._channels:
                raise Refused(f"{old.report()}\nit had ended by itself, and its channel with it")
            again = self._start_own(key)
        elif Part(request["part"]) is Part.SIDECAR:
            again = self._start_sidecar(self._pod(key))
        else:
            application = self._pod(key).place.spec.application
            if application is None:
                raise Refused(f"{key} has no application")
            again = self._start_application(self._pod(key), application)
        return Pending(lambda: {} if all_ready([again]) else None)

    def _execute(self, request: Request) -> Pending:
        place = self._pod(request["pod"]).place
        argv, env = tuple(request["argv"]), starting.environment(place.spec, {})
        name = f"{request['pod']}: {' '.join(argv)}"
        process = self._forker.fork(name, lambda: execute(argv, env), place=place.namespaces, separate=True)
        process.expected_end = True
        self.table.add(process)

        def done() -> Answer | None:
            if process.status is None:
                return None
            for output in process.outputs:
                output.read()
            stdout, stderr = (output.text() for output in process.outputs)
            return {
                "returncode": os.waitstatus_to_exitcode(process.status),
                "stdout": stdout,
                "stderr": stderr,
            }

        def late() -> None:
            process.signal(signal.SIGKILL)
            raise Refused(f"{name} did not end within {request['within']:g} s")

        return Pending(done, within=request["within"], late=late)

    def _logs(self, request: Request) -> Pending:
        process = self._process(request)
        for output in process.outputs:
            output.read()
        return Pending(lambda: {"text": "".join(output.text() for output in process.outputs)})

    def _state(self, _: Request) -> Pending:
        """Who is not ready yet."""
        own = self._own.values()
        parts = [process for pod in self._pods.values() for process in pod.parts.values()]
        waiting = [
            process.report() for process in (*own, *parts) if not process.ready or process.status is not None
        ]
        if not self._listening:
            waiting += [
                self._own[CONTROL_PLANE].report() + f"\n{files.XDS_SOCKET} does not accept connections"
            ]
        return Pending(lambda: {"waiting": waiting})


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(0)
        return sock.connect_ex(path) == 0
