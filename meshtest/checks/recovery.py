"""`recovers:`, `shifts:`, `returns:`: what changes while faults come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.checks.answered import who
from meshtest.checks.evidence import caller_hops
from meshtest.checks.judging import MOST_EVIDENCE, Judgement, requests, seconds, unknown
from meshtest.checks.status import ending
from meshtest.checks.success import succeeded
from meshtest.checks.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshtest.checks.evidence import Evidence, Facts
    from meshtest.scenario.expect_time import Recovers, Returns, Shifts
    from meshtest.traffic.model import Exchange


def recovers(spec: Recovers, evidence: Evidence) -> Judgement:
    """Soon after the last fault is gone, every request succeeds."""
    windows = evidence.history.faults
    if not windows:
        return unknown("no fault ran")
    gone = max(window.recovered for window in windows)
    after = [each for each in evidence.exchanges if each.started >= gone]
    if not after:
        return unknown("no request was sent after the faults", requests=0)
    failed = [each for each in after if not succeeded(each, spec.success)]
    took = max((each.started + each.latency - gone for each in failed), default=0.0)
    late = [each for each in failed if each.started - gone > spec.within]
    observed = {"requests": len(after), "failed": len(failed), "recoverySeconds": took}
    if late:
        last = max(late, key=lambda each: each.started)
        when = seconds(last.started - gone)
        saw = f"saw {ending(last)} {when} after it, {len(late)} of {requests(len(after))}"
        return _failed(f"expected success {seconds(spec.within)} after the last fault, {saw}", observed, late)
    if not any(succeeded(each, spec.success) for each in after):
        return unknown(f"no request was sent later than {seconds(spec.within)} after the faults", **observed)
    reason = f"in {seconds(took)}, limit {seconds(spec.within)}, {requests(len(after))}"
    return Judgement(verdict=Verdict.PASS, reason=reason, observed=observed, evidence=_ids(after)[:1])


def reached(exchange: Exchange, places: Sequence[str], facts: Facts) -> bool:
    """Whether any attempt of a request went to one of the named workloads or pods."""
    pods = {hop.pod for hop in exchange.hops if hop.side == "inbound"}
    pods |= {pod.key for hop in caller_hops(exchange, facts) if (pod := facts.pod_at(hop.upstream))}
    if answered := who(exchange, facts):
        pods.add(answered)
    return any(facts.is_at(pod, place) for pod in pods for place in places)


def _failed_at(exchange: Exchange, places: Sequence[str], facts: Facts) -> bool:
    """Whether an attempt at one of them failed, though another may have mended it."""
    inbound = [hop for hop in exchange.hops if hop.side == "inbound"]
    bad = [hop for hop in inbound if hop.status is None or hop.status >= 500 or hop.status == 0]
    if any(facts.is_at(hop.pod, place) for hop in bad if hop.layer == "http" for place in places):
        return True
    return not succeeded(exchange) and reached(exchange, places, facts)


def shifts(spec: Shifts, evidence: Evidence) -> Judgement:
    """Soon after its first failure, a workload or pod gets no more requests."""
    facts, places = evidence.facts, spec.away_from
    names = ", ".join(places)
    ordered = sorted(evidence.exchanges, key=lambda each: each.started)
    failed = [each for each in ordered if _failed_at(each, places, facts)]
    if not failed:
        return unknown(f"{names} never failed a request", requests=len(ordered))
    start = failed[0].started + failed[0].latency + spec.within
    stop = start + spec.lasts if spec.lasts is not None else float("inf")
    watched = [each for each in ordered if start <= each.started < stop]
    still = [each for each in watched if reached(each, places, facts)]
    observed = {"requests": len(ordered), "watched": len(watched), "stillReached": len(still)}
    if still:
        saw = f"saw {len(still)} of {requests(len(watched))} still there"
        return _failed(
            f"expected nothing at {names} {seconds(spec.within)} after it failed, {saw}", observed, still
        )
    if not watched:
        return unknown(f"no request was sent later than {seconds(spec.within)} after the failure", **observed)
    if blank := [each for each in watched if not each.complete]:
        return unknown(f"a log line is missing in {len(blank)} of {requests(len(watched))}", **observed)
    reason = f"away from {names} within {seconds(spec.within)}: none of {requests(len(watched))} there"
    return Judgement(verdict=Verdict.PASS, reason=reason, observed=observed, evidence=_ids(failed)[:1])


def returns(spec: Returns, evidence: Evidence) -> Judgement:
    """Soon after its fault is gone, a workload or pod answers requests again."""
    windows = evidence.history.faults
    if not windows:
        return unknown("no fault ran")
    gone = max(window.recovered for window in windows)
    names = ", ".join(spec.to)
    after = sorted(
        (each for each in evidence.exchanges if each.started >= gone), key=lambda each: each.started
    )
    back = [each for each in after if succeeded(each) and reached(each, spec.to, evidence.facts)]
    if not after or (not back and after[-1].started - gone < spec.within):
        return unknown(
            f"no request was sent later than {seconds(spec.within)} after the faults", requests=len(after)
        )
    if not back:
        saw = f"saw none of {requests(len(after))} there"
        return _failed(
            f"expected {names} to answer {seconds(spec.within)} after the faults, {saw}",
            {"requests": len(after)},
            after,
        )
    took = back[0].started - gone
    observed = {"requests": len(after), "returnSeconds": took}
    if took > spec.within:
        limit = seconds(spec.within)
        reason = f"expected {names} to answer {limit} after the faults, saw it after {seconds(took)}"
        return _failed(reason, observed, back)
    reason = f"{names} answers again {seconds(took)} after the faults, limit {seconds(spec.within)}"
    return Judgement(verdict=Verdict.PASS, reason=reason, observed=observed, evidence=_ids(back)[:1])


def _failed(reason: str, observed: Mapping[str, float], shown: Sequence[Exchange]) -> Judgement:
    return Judgement(verdict=Verdict.FAIL, reason=reason, observed=observed, evidence=_ids(shown))


def _ids(exchanges: Sequence[Exchange]) -> tuple[str, ...]:
    return tuple(each.id for each in exchanges[:MOST_EVIDENCE])
