"""`attempts:`, `responseFlags:`, `routedBy:`: how often a sidecar tried, how it ended, and by whose rule."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshtest.checks.evidence import caller_hops
from meshtest.checks.judging import every, finding, missing, share_of
from meshtest.mesh.route_rules import find_rule, merged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshtest.checks.evidence import Evidence, Facts
    from meshtest.checks.judging import Finding, Found, Judgement
    from meshtest.scenario.expect_policy import Attempts, ResponseFlags, RoutedBy
    from meshtest.traffic.model import Hop

CONFIG = re.compile(r"/namespaces/(?P<namespace>[^/]+)/(?P<kind>[^/]+)/(?P<name>[^/]+)\Z")
KINDS = {"virtual-service": "VirtualService", "destination-rule": "DestinationRule"}


def _findings(evidence: Evidence, of: Callable[[Sequence[Hop]], Finding], by: str = "") -> list[Found]:
    """What the caller's log lines show, for each exchange."""

    def one(hops: Sequence[Hop], *, complete: bool) -> Finding:
        if hops:
            return of(hops)
        return missing(
            "no sidecar or gateway of the caller logged it" if complete else "a log line is missing"
        )

    return [
        (each, one(caller_hops(each, evidence.facts, by), complete=each.complete))
        for each in evidence.exchanges
    ]


def attempts(spec: Attempts, evidence: Evidence) -> Judgement:
    """Every request was tried as often as expected."""

    def of(hops: Sequence[Hop]) -> Finding:
        wrong = [hop.attempts for hop in hops if not spec.bounds.hold(hop.attempts)]
        shown = max(wrong or [hop.attempts for hop in hops])
        return finding(f"{shown} attempt{'' if shown == 1 else 's'}", holds=not wrong)

    return every(spec.bounds.text("attempts"), _findings(evidence, of, spec.by))


def response_flags(spec: ResponseFlags, evidence: Evidence) -> Judgement:
    """Every request, or a share of them, has one of these flags."""

    def of(hops: Sequence[Hop]) -> Finding:
        seen = {flag for hop in hops for flag in hop.flags.split(",") if flag not in ("", "-")}
        return finding(",".join(sorted(seen)) or "no flags", holds=bool(seen & set(spec.flags)))

    expected = f"response flags {' or '.join(spec.flags)}"
    found = _findings(evidence, of)
    return every(expected, found) if spec.share is None else share_of(expected, spec.share, found)


def routed_by(spec: RoutedBy, evidence: Evidence) -> Judgement:
    """Every request went by the rules of one VirtualService or route."""

    def of(hops: Sequence[Hop]) -> Finding:
        route = _route(hops[0], evidence.facts)
        if route is None:
            return finding("no VirtualService and no route", holds=False)
        kind, namespace, name = route
        place = evidence.facts.locate(kind, namespace, name)
        says = f"{namespace}/{name}{f' ({place})' if place else ''}"
        return finding(says, holds=spec.route in (name, f"{namespace}/{name}"))

    return every(spec.route, _findings(evidence, of))


def _route(hop: Hop, facts: Facts) -> tuple[str, str, str] | None:
    """Kind, namespace and name of what routed a request."""
    config = CONFIG.search(hop.config)
    if not config:
        return None
    if not merged(config["name"]):
        return KINDS.get(config["kind"], config["kind"]), config["namespace"], config["name"]
    rule = find_rule(hop.route, facts.routes)
    return (rule.ref.kind, rule.ref.namespace, rule.ref.name) if rule else None
