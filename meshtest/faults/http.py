"""HTTP faults at the callee's inbound side, behind the caller's retries, timeouts and outlier detection.

    caller ─ its sidecar (retries, timeouts, ejection) ═ mTLS ═ callee's sidecar [authorization ─► FAULT] ─ application

They change no configuration: the driver marks the requests that are to be hit, and the callee's sidecar obeys the
mark (`meshtest.envoy.marks`). Istio's own `fault` block sits before the caller's router instead and switches its
retries and timeouts off (istio/istio#13705).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshtest.envoy.marks import FaultMark, baggage_member
from meshtest.errors import ScenarioError
from meshtest.faults.making import faulty
from meshtest.faults.places import callees, callers
from meshtest.scenario.faults import Abort, Delay, ResponseRate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshtest.faults.base import Ground
    from meshtest.mesh.model import MeshModel
    from meshtest.scenario.faults import FaultSpec
    from meshtest.traffic.model import Exchange


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
    if http_status is not None and grpc_status is not None:
        raise ScenarioError("http_status and grpc_status both given", key="abort", expected="one of them")
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


def marks(spec: FaultSpec, fault_id: str, model: MeshModel) -> tuple[FaultMark, ...]:
    """What rides on a request that is to meet the fault: one mark, or one per caller it is limited to."""
    targets = callees(spec, model)
    match = spec.match
    path = ""
    if match is not None and match.path is not None:
        path = f"={match.path.exact}" if match.path.exact else f"^{match.path.prefix}"
    return tuple(
        FaultMark(
            id=fault_id,
            targets=targets,
            source=source,
            attempts=spec.attempts,
            method=match.method if match else "",
            path=path,
            actions=_actions(spec.action),
        )
        for source in callers(spec, model) or ("",)
    )


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
    members: tuple[str, ...]
    placement: str

    def inject(self) -> None:
        """Nothing: it comes with each request."""

    def recover(self) -> None:
        """Nothing: it went with the last request."""

    def hits(self, exchanges: Sequence[Exchange]) -> int:
        """How many requests some sidecar says it met."""
        return sum(any(self.id in hop.faults for hop in exchange.hops) for exchange in exchanges)


def plan(spec: FaultSpec, fault_id: str, ground: Ground) -> Marked:
    """The family: see the module's text."""
    return Marked(
        id=fault_id,
        members=tuple(baggage_member(mark) for mark in marks(spec, fault_id, ground.model)),
        placement=placement(spec, ground.model),
    )


def placement(spec: FaultSpec, model: MeshModel) -> str:
    """Where the fault sits, in words."""
    who = ", ".join(callees(spec, model))
    return f"inbound side of {who}: behind its authorization and the caller's retries, timeouts and outlier detection"
