"""`answeredBy:`, `sticky:`: which workload, and which of its pods, answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.checks import statistics
from meshtest.checks.evidence import caller_hops, inbound_hops
from meshtest.checks.judging import Judgement, every, finding, ids, missing, percent, requests, tally, unknown
from meshtest.checks.status import ending
from meshtest.checks.verdict import Verdict
from meshtest.traffic.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshtest.checks.evidence import Evidence, Facts
    from meshtest.checks.judging import Finding, Found
    from meshtest.scenario.expect_callee import AnsweredBy, Sticky
    from meshtest.traffic.model import BackendReply, Exchange

PASSED_ON = "via_upstream"
"""Envoy's word for: the response came from the upstream, not from this Envoy."""
NOBODY = ""


def who(exchange: Exchange, facts: Facts) -> str | None:
    """The pod that answered, `namespace/name`; empty: an Envoy or nobody did; None: nothing tells."""
    if exchange.backend is not None:
        return _backend_pod(exchange.backend, facts)
    if exchange.outcome is not Outcome.RESPONSE:
        return NOBODY
    inbound = inbound_hops(exchange, facts)
    if inbound:
        last = max(inbound, key=lambda hop: hop.start)
        return last.pod if last.details == PASSED_ON else NOBODY
    if not exchange.complete:
        return None
    outbound = caller_hops(exchange, facts)
    if outbound and outbound[0].details == PASSED_ON:
        pod = facts.pod_at(outbound[0].upstream)
        return pod.key if pod else None
    return NOBODY if outbound else None


def _backend_pod(backend: BackendReply, facts: Facts) -> str:
    """The key of the pod that a reply names; other applications may not know their namespace."""
    if backend.namespace:
        return f"{backend.namespace}/{backend.pod}"
    return next((pod.key for pod in facts.pods.values() if pod.name == backend.pod), backend.pod)


def workload_of(pod_key: str, exchange: Exchange, facts: Facts) -> str:
    """The name of a pod's workload, as messages show it."""
    if exchange.backend is not None and exchange.backend.workload:
        return exchange.backend.workload
    pod = facts.pods.get(pod_key)
    return pod.workload if pod else pod_key


def is_one_of(pod_key: str, exchange: Exchange, names: Sequence[str], facts: Facts) -> str | None:
    """The first of some names, of workloads or pods, that means this pod."""
    own = exchange.backend
    for name in names:
        if facts.is_at(pod_key, name):
            return name
        if own is not None and name in (own.workload, f"{own.namespace}/{own.workload}"):
            return name
    return None


def answered_by(spec: AnsweredBy, evidence: Evidence) -> Judgement:
    """Every answer comes from one of them, or their shares are as expected."""
    if spec.shares:
        return _shares(spec, evidence)
    found = [(each, _answer(each, spec.workloads, evidence.facts)) for each in evidence.exchanges]
    return every(f"an answer by {' or '.join(spec.workloads)}", found)


def _answer(exchange: Exchange, names: Sequence[str], facts: Facts) -> Finding:
    pod = who(exchange, facts)
    if pod is None:
        return missing("nothing tells who answered")
    if pod == NOBODY:
        return finding(f"nobody ({ending(exchange)})", holds=False)
    name = is_one_of(pod, exchange, names, facts)
    return finding(name or workload_of(pod, exchange, facts), holds=name is not None)


def _shares(spec: AnsweredBy, evidence: Evidence) -> Judgement:
    found = [(each, _answer(each, tuple(spec.shares), evidence.facts)) for each in evidence.exchanges]
    if not found:
        return unknown("no request to judge", requests=0)
    blank = [each for each in found if each[1].verdict is Verdict.UNKNOWN]
    strangers = [each for each in found if each[1].verdict is Verdict.FAIL]
    if strangers:
        return every(f"answers by {', '.join(spec.shares)} alone", found)
    if blank:
        return unknown(
            f"nothing tells who answered {len(blank)} of {requests(len(found))}", requests=len(found)
        )
    return _judge_shares(spec, found)


def _judge_shares(spec: AnsweredBy, found: Sequence[Found]) -> Judgement:
    counts = tally(found)
    judged = statistics.accept_all(counts, spec.shares, alpha=spec.false_alarm, detect=spec.detect)
    broken = {name: each for name, each in judged.items() if not each.holds}
    said = [
        f"{name} about {percent(each.share)}, saw {each.text()}" for name, each in (broken or judged).items()
    ]
    return Judgement(
        verdict=Verdict.FAIL if broken else Verdict.PASS,
        reason=f"expected {'; '.join(said)}",
        observed={"requests": len(found), "shares": {name: each.to_dict() for name, each in judged.items()}},
        evidence=ids(found)[: len(judged)],
    )


def sticky(spec: Sticky, evidence: Evidence) -> Judgement:
    """Requests with the same header value are all answered by the same pod."""
    first: dict[str, str] = {}
    pods: set[str] = set()
    found = []
    for exchange in evidence.exchanges:
        pod = who(exchange, evidence.facts)
        if pod is None or pod == NOBODY:
            found.append((exchange, missing(f"nobody answered ({ending(exchange)})")))
            continue
        pods.add(pod)
        key = _header(exchange, spec.header) if spec.header else exchange.caller
        held = first.setdefault(key, pod) == pod
        says = f"{key} at {pod}" if held else f"{key} at {pod} after {first[key]}"
        found.append((exchange, finding(says, holds=held)))
    judged = every(f"one pod per {spec.header or 'caller'}", found)
    return _pods_too(spec, judged, pods)


def _pods_too(spec: Sticky, judged: Judgement, pods: set[str]) -> Judgement:
    if spec.pods is None or judged.verdict is not Verdict.PASS or spec.pods.hold(len(pods)):
        return judged
    reason = f"expected {spec.pods.text('pods')} altogether, saw {len(pods)}: {', '.join(sorted(pods))}"
    observed = {**judged.observed, "pods": sorted(pods)}
    return Judgement(verdict=Verdict.FAIL, reason=reason, observed=observed, evidence=judged.evidence)


def _header(exchange: Exchange, name: str) -> str:
    wanted = name.lower()
    return next((value for key, value in exchange.request.headers if key.lower() == wanted), "no value")
