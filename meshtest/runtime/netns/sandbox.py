"""pytest's end of a sandbox: tells the supervisor what to start, asks it, and ends it all."""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Any

from meshtest.errors import RuntimeFailure, Unsupported
from meshtest.runtime.base import Completed
from meshtest.runtime.netns import spec
from meshtest.runtime.netns.access import AccessLogs
from meshtest.runtime.netns.begin import END
from meshtest.runtime.netns.launcher import NOT_ALLOWED
from meshtest.runtime.netns.permission import advice
from meshtest.runtime.netns.supervisor import CONTROL_PLANE, DRIVER
from meshtest.wire import Channel, RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshtest.runtime.base import Action, Lost, NameFault, NetworkPlan, Part, PodPlan, Role, SandboxPlan
    from meshtest.runtime.netns.begin import Beginning
    from meshtest.wire import Frame

_SLACK = 10.0
"""Seconds that the supervisor gets beyond what a request itself may last."""


class NetnsSandbox:
    """A sandbox made of namespaces; see `meshtest.runtime.base.Sandbox`."""

    def __init__(
        self,
        begun: Beginning,
        plan: SandboxPlan,
        on_access: Callable[[str, bytes], None],
        on_event: Callable[[str, Frame], None] | None = None,
    ) -> None:
        self.timings: dict[str, float] = {}
        """Seconds from start to each stage, once `ready` has returned."""
        self.ended_processes: list[str] = []
        """Reports on processes that ended without being asked to."""
        self._began = time.monotonic()
        self._on_event = on_event
        self._closed = False
        self._launcher = begun.launcher
        self._sockets = [begun.control, begun.control_plane, begun.driver]
        self._descriptors = begun.descriptors
        self._roles: dict[str, Channel] = {}
        self._access = AccessLogs(begun.descriptors, on_access)
        self._files: list[IO[bytes]] = []
        self._supervisor = self._channel("the sandbox", begun.control, self._note)
        self.control_plane = self._channel(
            "the control plane", begun.control_plane, self._listener(CONTROL_PLANE)
        )
        self.driver = self._channel("the traffic driver", begun.driver, self._listener(DRIVER))
        self._start = self._supervisor.start("start", plan=spec.plan_to_json(plan))

    def ready(self, timeout: float) -> None:
        """Wait until every process has started and every application is ready."""
        try:
            answer = self._supervisor.result(self._start, timeout=timeout)
        except RemoteError as exc:
            raise RuntimeFailure(exc.message) from exc
        except RuntimeFailure as exc:
            raise self._explained(exc) from exc
        stages: dict[str, float] = answer.header["timings"]
        self.timings = {name: at - self._began for name, at in stages.items()}

    def add_pods(self, pods: Sequence[PodPlan], timeout: float) -> None:
        """Start more pods and wait until they are ready."""
        self._ask("add_pods", timeout, pods=[spec.pod_to_json(pod) for pod in pods])

    def remove_pods(self, keys: Sequence[str]) -> None:
        """End pods and their network."""
        self._ask("remove_pods", _SLACK, keys=list(keys))

    def set_network(self, network: NetworkPlan) -> None:
        """Replace cluster IPs and names; holds for everything that starts after it returned."""
        self._ask("set_network", _SLACK, network=spec.network_to_json(network))

    def signal(self, pod: str, part: Part, action: Action) -> None:
        """Kill, stop, pause, resume or start again one half of a pod; returns when it is done.

        `meshtest/control-plane`, `meshtest/driver` and `meshtest/resolver` name the sandbox's own processes.
        """
        self._ask("signal", 2 * _SLACK, pod=pod, part=part.value, action=action.value)

    def address(self, name: str) -> str:  # noqa: ARG002 - all of them are in one namespace
        """Where the process of this name can listen: an address that no pod has, so that the router keeps it."""
        return "10.244.255.254"

    def role(self, name: str, role: Role) -> Channel:
        """Start a process between the pods, unless one of this name runs; returns the channel to it."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._descriptors, [name.encode()], [theirs.fileno()])
        if self._ask("role", _SLACK, name=name, role=spec.role_to_json(role))["fresh"]:
            self._sockets.append(ours)
            self._roles[name] = self._channel(name, ours, self._listener(name))
        else:
            ours.close()
        return self._roles[name]

    def execute(self, pod: str, argv: Sequence[str], *, timeout: float) -> Completed:
        """Run a program inside a pod's namespaces to its end."""
        answer = self._ask("execute", timeout + _SLACK, pod=pod, argv=list(argv), within=timeout)
        return Completed(returncode=answer["returncode"], stdout=answer["stdout"], stderr=answer["stderr"])

    def lose(self, name: str, lost: Sequence[Lost]) -> None:
        """Have packets vanish from now on, also those of connections that exist."""
        self._ask("lose", _SLACK, name=name, lost=[asdict(one) for one in lost])

    def lost(self, name: str) -> int:
        """How many packets have vanished so."""
        return int(self._ask("lost", _SLACK, name=name)["packets"])

    def restore(self, name: str) -> int:
        """Let packets through again and return how many have vanished."""
        return int(self._ask("restore", _SLACK, name=name)["packets"])

    def delay(self, name: str, addresses: Sequence[str], delay: float, jitter: float) -> None:
        """Hold up, by seconds, every packet from and to these pods."""
        self._ask("delay", _SLACK, name=name, addresses=list(addresses), delay=delay, jitter=jitter)

    def delayed(self, name: str) -> int:
        """How many packets have been held up."""
        return int(self._ask("delayed", _SLACK, name=name)["packets"])

    def undelay(self, name: str) -> int:
        """Let packets through at once again and return how many were held up."""
        return int(self._ask("undelay", _SLACK, name=name)["packets"])

    def misname(self, name: str, fault: NameFault | None) -> None:
        """Have the resolver answer wrongly from now on, or rightly again."""
        self._ask("misname", _SLACK, name=name, fault=None if fault is None else asdict(fault))

    def misnamed(self, name: str) -> int:
        """How many queries have been answered so."""
        return int(self._ask("misnamed", _SLACK, name=name)["queries"])

    def rules(self) -> dict[str, list[str]]:
        """Every nftables chain and rule, of the router (under "") and of each pod, without counters."""
        found: dict[str, list[str]] = self._ask("rules", _SLACK)["rules"]
        return found

    def logs(self, pod: str, part: Part) -> str:
        """The last lines that a half of a pod wrote."""
        return str(self._ask("logs", _SLACK, pod=pod, part=part.value)["text"])

    def close(self) -> None:
        """End everything; idempotent."""
        if self._closed:
            return
        self._closed = True
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._launcher.end()  # it ends when the supervisor has, and the supervisor when everything in the sandbox has
        self._access.join(END)
        for channel in (self._supervisor, self.control_plane, self.driver, *self._roles.values()):
            channel.close()
        for stream in self._files:
            stream.close()
        for sock in self._sockets:
            sock.close()

    def _ask(self, op: str, timeout: float, **fields: Any) -> dict[str, Any]:
        try:
            return self._supervisor.call(op, timeout=timeout, **fields).header
        except RemoteError as exc:
            raise RuntimeFailure(exc.message) from exc
        except RuntimeFailure as exc:
            raise self._explained(exc) from exc

    def _explained(self, exc: RuntimeFailure) -> RuntimeFailure:
        """Add what is known: why the launcher failed, or who is not ready yet."""
        if self._launcher.wait(0.5):
            words = self._launcher.stderr.decode(errors="replace").strip()
            if self._launcher.status == NOT_ALLOWED:
                return Unsupported(advice(words))
            return RuntimeFailure(f"{exc}\n{words}".rstrip())
        try:
            waiting = self._supervisor.call("state", timeout=1.0).header["waiting"]
        except RuntimeFailure:
            return exc
        return RuntimeFailure("\n".join([str(exc), "not ready:", *waiting]) if waiting else str(exc))

    def _note(self, frame: Frame) -> None:
        self.ended_processes.append(frame.header["report"])
        if self._on_event is not None:
            self._on_event("sandbox", frame)

    def _listener(self, name: str) -> Callable[[Frame], None] | None:
        tell = self._on_event
        if tell is None:
            return None
        return lambda frame: tell(name, frame)

    def _channel(self, name: str, sock: socket.socket, on_event: Callable[[Frame], None] | None) -> Channel:
        reader, writer = sock.makefile("rb"), sock.makefile("wb")
        self._files.append(reader)
        return Channel(name, reader, writer, on_event=on_event)
