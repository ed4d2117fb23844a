"""An explanation as text: what all ways have in common once, and what they differ in below it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshtest.explain.policies import MADE_NAME
from meshtest.traffic.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest.explain.model import Crossing, Explanation, Patience, Way
    from meshtest.traffic.model import Decision

_STEP = "  "


@dataclass(slots=True)
class _Node:
    """A piece of text with what may follow it; `at` are the addresses that share it."""

    children: dict[tuple[str, ...], _Node] = field(default_factory=dict)
    at: list[str] = field(default_factory=list)


def told(found: Explanation) -> str:
    """The whole text."""
    asked = f"{found.request.method} {found.request.url}"
    root = _Node()
    for way in found.ways:
        node = root
        for lines, address in _pieces(way):
            node = node.children.setdefault(lines, _Node())
            if address and address not in node.at:
                node.at.append(address)
    return "\n".join(
        [asked, f"from {found.caller} ({found.identity or 'no sidecar, no identity'})", *_lines(root, 0)]
    )


def _lines(node: _Node, depth: int) -> Iterator[str]:
    several = len(node.children) > 1
    for lines, child in node.children.items():
        first, *rest = lines
        indent = _STEP * depth
        yield f"{indent}{'* ' if several else ''}{first}{_at(child)}"
        inner = _STEP * (depth + 1)
        yield from (f"{inner}{line}" for line in rest)
        yield from _lines(child, depth + several)


def _at(node: _Node) -> str:
    return f" at {', '.join(node.at)}" if node.at else ""


def _pieces(way: Way) -> Iterator[tuple[tuple[str, ...], str]]:
    for crossing in way.crossings:
        yield tuple(_crossing(crossing)), ""
        if crossing.cluster and crossing.side != "inbound":
            yield tuple(_upstream(crossing)), crossing.endpoint
    yield tuple(_end(way)), ""


def _crossing(crossing: Crossing) -> Iterator[str]:
    where = f"{crossing.side} at {crossing.workload}"
    yield f"{where}: listener {crossing.listener}" + (f", chain {crossing.chain}" if crossing.chain else "")
    if crossing.tls:
        yield f"mTLS from {crossing.peer}" if crossing.peer else "TLS without a client certificate"
    elif crossing.side == "inbound":
        yield "plaintext"
    yield from (_said(one) for one in crossing.decisions)
    route = crossing.route
    if route is None or crossing.side == "inbound":
        return
    name = route.name if route.name and not MADE_NAME.match(route.name) else ""
    called = f" {name!r}" if name else ""
    by = f": {_object(route.by)}" if route.by else ""
    yield f"route{called} of virtual host {route.virtual_host}{by}"
    if crossing.cluster:
        yield _patience(route.patience)
        yield f"sent on as {route.authority}{route.path}"
    yield from (f"mirrors to {one}" for one in route.mirrors)


def _said(decision: Decision) -> str:
    if not decision.name:
        return "denied: AuthorizationPolicies allow something here, and none of their rules matches"
    effect = "an authorization service is asked" if decision.effect == "asks" else decision.effect
    return f"{effect} by {_object(decision)}"


def _object(decision: Decision) -> str:
    rule = f" rule {decision.rule}" if decision.rule is not None else ""
    where = f" ({decision.location})" if decision.location else ""
    return f"{decision.kind} {decision.namespace}/{decision.name}{rule}{where}"


def _patience(found: Patience) -> str:
    timeout = f"timeout {found.timeout:g}s" if found.timeout else "no timeout"
    tries = f", {found.per_try:g}s per try" if found.per_try else ""
    if not found.retries or not found.retry_on:
        return f"{timeout}, no retries"
    noun = "retry" if found.retries == 1 else "retries"
    return f"{timeout}{tries}, {found.retries} {noun} on {found.retry_on}"


def _upstream(crossing: Crossing) -> Iterator[str]:
    by = f" of {_object(crossing.cluster_by)}" if crossing.cluster_by else ""
    yield f"cluster {crossing.cluster}{by}"
    if not crossing.endpoint:
        return
    if crossing.tunnel:
        yield f"in a tunnel that it is asked for with {crossing.tunnel}"
    tls = crossing.upstream_tls
    if tls is None:
        yield "in plaintext"
    elif tls.mutual:
        yield f"with mTLS as {tls.identity}, SNI {tls.sni}"
    else:
        yield f"with TLS, no client certificate, SNI {tls.sni}"


def _end(way: Way) -> Iterator[str]:
    yield f"=> {_percent(way)}{_ending(way)}"
    yield from way.conditions
    if way.one_of > 1:
        yield f"one of {way.one_of} that the load balancer chooses from"


def _percent(way: Way) -> str:
    if way.share is None or way.share >= 1:
        return ""
    return f"{100 * way.share:.4g}%: "


def _ending(way: Way) -> str:
    if way.workload:
        return f"answered by the application of {way.workload}"
    envoys = {crossing.pod: crossing.workload for crossing in way.crossings}
    by = envoys.get(way.answered_by, way.answered_by)
    if way.outcome is not Outcome.RESPONSE:
        return f"{way.outcome.value}: {way.note}" + (f", at {by}" if by else "")
    status = f"{way.status} " if way.status is not None else ""
    leads = f" to {way.location}" if way.location else ""
    whose = "the Envoy of " if way.answered_by in envoys or way.status is not None else ""
    return f"{status}{way.note}{leads}, from {whose}{by}"
