"""`mirroredTo:`: whether copies of requests arrived at a workload; their answers nobody sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.checks.judging import every, finding, missing, share_of

if TYPE_CHECKING:
    from meshtest.checks.evidence import Evidence, Facts
    from meshtest.checks.judging import Finding, Judgement
    from meshtest.scenario.expect_callee import MirroredTo
    from meshtest.traffic.model import Exchange


def mirrored_to(spec: MirroredTo, evidence: Evidence) -> Judgement:
    """Of every request, or of a share of them, a copy arrived there."""
    expected = f"a copy at {spec.to}"
    found = [(each, _copy(spec.to, each, evidence.facts)) for each in evidence.exchanges]
    return every(expected, found) if spec.share is None else share_of(expected, spec.share, found)


def _copy(place: str, exchange: Exchange, facts: Facts) -> Finding:
    pods = [hop.pod for hop in exchange.mirrors]
    if any(facts.is_at(pod, place) for pod in pods):
        return finding(f"a copy at {place}", holds=True)
    if not any(pod.has_envoy for pod in facts.pods.values() if facts.is_at(pod.key, place)):
        return missing(f"{place} has no sidecar that would log it")
    if not exchange.complete:
        return missing("a log line is missing")
    return finding(f"a copy at {' and '.join(pods)}" if pods else "no copy", holds=False)
