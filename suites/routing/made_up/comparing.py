"""What was foretold of a request against what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.traffic.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest.explain.model import Crossing, Explanation, Way
    from meshtest.traffic.model import Decision, Exchange, Hop

_BROKEN = frozenset((Outcome.RESET, Outcome.REFUSED))
UPGRADE_REQUIRED = 426
_AUTHORIZATION = "AuthorizationPolicy"


def differences(found: Explanation, exchange: Exchange) -> list[str]:
    """Empty if it went one of the ways; else how it differs from the nearest of them."""
    wrong = [list(_differs(way, exchange)) for way in found.ways]
    nearest = min(wrong, key=len, default=["no way"])
    return [*nearest, *(f"seen: {_shown(hop)}" for hop in exchange.hops)] if nearest else []


def _shown(hop: Hop) -> str:
    return (
        f"{hop.pod} {hop.side} {hop.status} {hop.details} {hop.flags} route {hop.route!r} cluster {hop.cluster}"
        f" upstream {hop.upstream} peer {hop.peer!r} tls {hop.tls!r} mirror {hop.mirror}"
    )


def _differs(way: Way, exchange: Exchange) -> Iterator[str]:
    outcome = exchange.outcome
    if way.outcome is not outcome and not {way.outcome, outcome} <= _BROKEN:
        yield f"outcome: {way.outcome.value} foretold, {outcome.value} seen ({exchange.error})"
    if way.status is not None and way.status != exchange.status:
        yield f"status: {way.status} foretold, {exchange.status} seen"
    workload = f"{exchange.backend.namespace}/{exchange.backend.workload}" if exchange.backend else ""
    if outcome is Outcome.RESPONSE and exchange.request.method != "HEAD" and way.workload != workload:
        yield f"workload: {way.workload!r} foretold, {workload!r} seen"
    yield from _denial(way, exchange)
    yield from _received(way, exchange)
    if way.status == UPGRADE_REQUIRED:
        return  # before there is a request that could bear the exchange's id
    hops = [hop for hop in exchange.hops if not hop.mirror]
    for crossing in way.crossings:
        yield from _crossed(crossing, hops)


def _received(way: Way, exchange: Exchange) -> Iterator[str]:
    """What the application got is what the last Envoy that reads HTTP sent on."""
    routes = [one.route for one in way.crossings if one.layer == "http" and one.route]
    backend = exchange.backend
    if backend is None or not routes or not way.crossings or way.crossings[-1].layer != "http":
        return
    for what, told, seen in (
        ("path", routes[-1].path, backend.request.path),
        ("authority", routes[-1].authority, backend.request.host),
    ):
        if told != seen:
            yield f"{what}: {told!r} foretold, {seen!r} received"


def _denial(way: Way, exchange: Exchange) -> Iterator[str]:
    seen = exchange.decided_by
    denied = seen is not None and seen.effect == "denied" and seen.kind == _AUTHORIZATION
    if (way.denied_by is not None) != denied:
        yield f"denial: {way.denied_by} foretold, {seen} seen"
    elif denied and way.denied_by is not None and seen is not None and _named(way.denied_by) != _named(seen):
        yield f"denied by: {way.denied_by} foretold, {seen} seen"
    told = {
        _named(one) for crossing in way.crossings for one in crossing.decisions if one.effect == "allowed"
    }
    known = {_named(one) for one in exchange.policies if one.effect == "allowed"}
    if known - told:
        yield f"allowed by: {told} foretold, {known} seen"


def _named(one: Decision) -> tuple[str, str, int | None]:
    return one.namespace, one.name, one.rule


def _crossed(crossing: Crossing, hops: list[Hop]) -> Iterator[str]:
    """The line of the Envoy that is foretold; its last, where it was tried more than once."""
    own = [hop for hop in hops if (hop.pod, hop.side) == (crossing.pod, crossing.side)]
    if not own:
        if any("UF" in hop.flags for hop in hops):
            return  # a connection whose handshake failed; which line is about it nobody knows
        if crossing.details != "filter_chain_not_found" and crossing.listener:
            yield f"no line of {crossing.pod} {crossing.side}"
        return
    hop = own[-1]
    if crossing.layer != hop.layer and crossing.details != "filter_chain_not_found":
        yield f"layer at {crossing.pod}: {crossing.layer} foretold, {hop.layer} seen"
    if hop.layer == "http" and crossing.route is not None and crossing.route.name != hop.route:
        yield f"route at {crossing.pod}: {crossing.route.name!r} foretold, {hop.route!r} seen"
    cluster = "" if crossing.details == "cluster_not_found" else crossing.cluster
    if crossing.cluster and hop.cluster != cluster:
        yield f"cluster at {crossing.pod}: {cluster} foretold, {hop.cluster} seen"
    if crossing.side == "inbound" and crossing.peer != hop.peer:
        yield f"peer at {crossing.pod}: {crossing.peer!r} foretold, {hop.peer!r} seen"
