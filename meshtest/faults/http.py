"""HTTP faults at the callee's inbound side, behind the caller's retries, timeouts and outlier detection.

    caller ─ its sidecar (retries, timeouts, ejection) ═ mTLS ═ callee's sidecar [authorization ─► FAULT] ─ application

They change no configuration: the driver marks the requests that are to be hit, and the callee's sidecar obeys the
mark (`meshtest.envoy.marks`). Istio's own `fault` block sits before the caller's router instead and switches its
retries and timeouts off (istio/istio#13705).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshtest.envoy.marks import FaultMark, baggage_member
from meshtest.errors import Location, ScenarioError
from meshtest.faults.places import callees, callers
from meshtest.scenario.faults import Abort, Delay, During, FaultMatch, FaultSpec, PathMatch, ResponseRate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshtest.faults.base import Ground
    from meshtest.mesh.model import MeshModel
    from meshtest.scenario.faults import FaultAction
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
    return _spec("abort", Abort(http_status=http_status, grpc_status=grpc_status), to, where)


def delay(*, to: str | Sequence[str], fixed_delay: float, **where: Any) -> FaultSpec:
    """Hold requests for `fixed_delay` seconds at the callee's side; `where` as for `abort`."""
    return _spec("delay", Delay(fixed_delay=fixed_delay), to, where)


def response_rate(*, to: str | Sequence[str], kib_per_second: int, **where: Any) -> FaultSpec:
    """Send response bodies at a limited rate; `where` as for `abort`."""
    return _spec("responseRate", ResponseRate(kib_per_second=kib_per_second), to, where)


def _names(value: str | Sequence[str] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def _spec(kind: str, action: FaultAction, to: str | Sequence[str], where: dict[str, Any]) -> FaultSpec:
    frame = sys._getframe(2)  # noqa: SLF001 - the documented way to a caller's line
    known = {
        "name",
        "from_",
        "percentage",
        "attempts",
        "first",
        "path",
        "path_prefix",
        "method",
        "headers",
        "during",
    }
    for key in where:
        if key not in known:
            from meshtest.errors import nearest  # noqa: PLC0415 - only for the error

            raise ScenarioError(
                f"unknown argument {key!r}", key=kind, expected=f"some of {', '.join(sorted(known))}",
                nearest=nearest(key, known),
            )  # fmt: skip
    percentage = float(where.get("percentage", 100.0))
    if not 0 < percentage <= 100:
        raise ScenarioError(
            f"{percentage:g} is no share", key=f"{kind}.percentage", expected="more than 0, at most 100"
        )
    return FaultSpec(
        kind=kind,
        action=action,
        to=_names(to),
        location=Location(file=frame.f_code.co_filename, line=frame.f_lineno),
        name=where.get("name", ""),
        sender=_names(where.get("from_")),
        match=_match(where),
        percentage=percentage,
        attempts=tuple(where.get("attempts", ())),
        first=where.get("first"),
        during=_during(where.get("during")),
    )


def _match(where: dict[str, Any]) -> FaultMatch | None:
    exact, prefix = where.get("path", ""), where.get("path_prefix", "")
    path = PathMatch(exact=exact, prefix=prefix) if exact or prefix else None
    method, headers = where.get("method", ""), where.get("headers", {})
    return FaultMatch(path=path, method=method, headers=headers) if path or method or headers else None


def _during(value: Any) -> During | None:
    if value is None or isinstance(value, During):
        return value
    at, lasts = value
    return During(at=float(at), lasts=float(lasts))


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


def _actions(action: FaultAction) -> tuple[str, ...]:
    match action:
        case Abort(grpc_status=status) if status is not None:
            return (f"grpc:{status}",)
        case Abort(http_status=status):
            return (f"abort:{status}",)
        case Delay(fixed_delay=seconds):
            return (f"delay:{round(seconds * 1000)}",)
        case ResponseRate(kib_per_second=rate):
            return (f"rate:{rate}",)


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
    return f"inbound side of {who}: after its authorization, behind the caller's retries, timeouts and outlier detection"
