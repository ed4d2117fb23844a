"""HTTP faults at the callee's inbound side, behind the caller's retries, timeouts and outlier detection.

    caller ─ its sidecar (retries, timeouts, ejection) ═ mTLS ═ callee's sidecar [authorization ─► FAULT] ─ application

They change no configuration: the driver marks the requests that are to be hit, and the callee's sidecar obeys the
mark (`meshtest.envoy.marks`). Istio's own `fault` block sits before the caller's router instead and switches its
retries and timeouts off (istio/istio#13705).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from meshtest.envoy.marks import FaultMark, baggage_member
from meshtest.faults.detours import ROLE
from meshtest.faults.making import faulty
from meshtest.faults.places import ANYWHERE, callees, pods_of, service_called
from meshtest.runtime.abilities import Between
from meshtest.scenario.faults import Abort, Delay, FaultMatch, ResponseRate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshtest.faults.base import Ground
    from meshtest.mesh.model import MeshModel, Pod
    from meshtest.scenario.faults import FaultSpec
    from meshtest.traffic.model import Exchange, Request


def abort(
    *, to: str | Sequence[str], http_status: int | None = None, grpc_status: int | None = None, **where: Any
) -> FaultSpec:
    """Answer with a status instead of the application.

    Args:
        to: workloads, services or pods.
        http_status: 200 to 599; 503 where neither status is given.
        grpc_status: 0 to 16, for gRPC.
        where: `from_`, `percentage` (0 to 100, exact), `attempts`, `first`, `path` or `path_prefix`, `method`,
            `during=(at, for)` in seconds.
    """
    if http_status is None and grpc_status is None:
        http_status = 503
    return faulty(
        "abort", Abort(http_status=http_status, grpc_status=grpc_status), to, where, of_requests=True
    )


def delay(*, to: str | Sequence[str], fixed_delay: float, **where: Any) -> FaultSpec:
    """Hold requests for `fixed_delay` seconds at the callee's side; `where` as for `abort`."""
    return faulty("delay", Delay(fixed_delay=fixed_delay), to, where, of_requests=True)


def response_rate(*, to: str | Sequence[str], kib_per_second: int, **where: Any) -> FaultSpec:
    """Send response bodies at a limited rate; `where` as for `abort`."""
    return faulty("responseRate", ResponseRate(kib_per_second=kib_per_second), to, where, of_requests=True)


def mark(spec: FaultSpec, fault_id: str, model: MeshModel, between: str = "") -> FaultMark:
    """What rides on a request that is to meet the fault; `between` is an address at which many may call."""
    match = spec.match
    path = ""
    if match is not None and match.path is not None:
        path = f"={match.path.exact}" if match.path.exact else f"^{match.path.prefix}"
    return FaultMark(
        id=fault_id,
        targets=callees(spec, model),
        sources=_sources(callers(spec, model), between),
        attempts=spec.attempts,
        method=match.method if match else "",
        path=path,
        actions=_actions(spec.action),
    )


def callers(spec: FaultSpec, model: MeshModel) -> list[Pod]:
    """The pods that `from:` means; none for anybody."""
    return pods_of(spec.sender, spec, model, key="from")


def _sources(pods: Sequence[Pod], between: str) -> tuple[str, ...]:
    """Workloads may share a service account, so an address tells who calls; behind a detour the certificate must."""
    found = [pod.ip for pod in pods]
    found += [f"{between}={pod.namespace}/{pod.service_account}" for pod in pods if between]
    return tuple(dict.fromkeys(found))


def _actions(action: object) -> tuple[str, ...]:
    match action:
        case Abort(grpc_status=status) if status is not None:
            return (f"grpc:{status}",)
        case Abort(http_status=status):
            return (f"abort:{status}",)
        case Delay(fixed_delay=seconds):
            return (f"delay:{round(seconds * 1000)}",)
        case ResponseRate(kib_per_second=rate):
            return (f"rate:{rate}",)
        case _:
            raise TypeError(f"{action!r} is no HTTP fault")


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """An HTTP fault: nothing to inject, the marks of the requests are all of it."""

    id: str
    spec: FaultSpec
    model: MeshModel = field(repr=False)
    members: tuple[str, ...] = ()

    @property
    def placement(self) -> str:
        """Where it sits, in words."""
        return placement(self.spec, self.model)

    def inject(self) -> None:
        """Nothing: it comes with each request."""

    def recover(self) -> None:
        """Nothing: it went with the last request."""

    def hits(self, exchanges: Sequence[Exchange]) -> int:
        """How many requests some sidecar says it met."""
        return sum(any(self.id in hop.faults for hop in exchange.hops) for exchange in exchanges)

    def may_meet(self, request: Request, caller: str) -> bool:
        """Whether it is about a request of that pod (`namespace/name`), as far as can be told before it is sent."""
        match = self.spec.match or FaultMatch()
        if not _has_headers(request, match):
            return False
        if not self._calls_the_target(request, caller):
            return True  # further on it may meet it
        senders = callers(self.spec, self.model)
        path = urlsplit(request.url).path or "/"
        return (
            (not senders or caller in {pod.key for pod in senders})
            and (not match.method or match.method == request.method)
            and (match.path is None or match.path.holds(path))
        )

    def _calls_the_target(self, request: Request, caller: str) -> bool:
        """Whether the Service that is called is the one, and the only one, that the fault is about."""
        host = request.host or urlsplit(request.url).hostname or ""
        service = service_called(host, caller.partition("/")[0], self.model)
        targets = callees(self.spec, self.model)
        if service is None or ANYWHERE in targets:
            return False
        called = {key for pod in self.model.pods_behind(service) for key in (pod.key, pod.workload_key)}
        return called.issuperset(targets)


def _has_headers(request: Request, match: FaultMatch) -> bool:
    """Whether the request's own headers are those that a fault asks for."""
    given: dict[str, list[str]] = {}
    for name, value in request.headers:
        given.setdefault(name.lower(), []).append(value)
    return all(wanted.holds(given.get(name.lower(), [])) for name, wanted in match.headers.items())


def check(spec: FaultSpec, model: MeshModel) -> None:
    """Raise ScenarioError where there is no such caller, or no callee that can hold it."""
    callees(spec, model)
    callers(spec, model)


def plan(spec: FaultSpec, fault_id: str, ground: Ground) -> Marked:
    """The family: see the module's text."""
    between = ground.sandbox.address(ROLE) if spec.sender and isinstance(ground.sandbox, Between) else ""
    member = baggage_member(mark(spec, fault_id, ground.model, between))
    return Marked(id=fault_id, spec=spec, model=ground.model, members=(member,))


def placement(spec: FaultSpec, model: MeshModel) -> str:
    """Where the fault sits, in words."""
    who = ", ".join(callees(spec, model))
    return f"inbound side of {who}: behind its authorization and the caller's retries, timeouts and outlier detection"
