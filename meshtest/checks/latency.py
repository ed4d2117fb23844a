"""`latency:`: percentiles of the time from the intended start to the end of the response.

A percentile q needs 1 / (1 - q) samples (100 for p99), or it would be the maximum under another name. If the
generator fell behind, the load was not the one that was asked for, and the check is unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.checks.judging import MOST_EVIDENCE, Judgement, requests, seconds, unknown
from meshtest.checks.statistics import percentile, samples_needed
from meshtest.checks.verdict import Verdict
from meshtest.scenario.expect_answer import PERCENTILES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshtest.checks.evidence import Evidence
    from meshtest.scenario.bounds import Bounds
    from meshtest.scenario.expect_answer import Latency
    from meshtest.traffic.model import Exchange

LATE_SHARE = 0.1
"""Lateness beyond this part of the smallest limit spoils the measurement ..."""
LATE_LEAST = 0.01
"""... unless it is less than this, in seconds."""


def latency(spec: Latency, evidence: Evidence) -> Judgement:
    """Every percentile is within its limits."""
    exchanges = evidence.exchanges
    if not exchanges:
        return unknown("no request to judge", requests=0)
    samples = [each.latency for each in exchanges]
    observed = {name: percentile(samples, q) for name, q in PERCENTILES.items()} | {"requests": len(samples)}
    few = [name for name in spec.limits if len(samples) < samples_needed(PERCENTILES[name])]
    if few:
        name = few[-1]
        needs = requests(samples_needed(PERCENTILES[name]))
        return unknown(f"{name} needs {needs}, saw {len(samples)}", **observed)
    if late := _late(exchanges, spec):
        return unknown(
            f"the generator fell behind by {seconds(late)}, so the load was not what was asked", **observed
        )
    broken = [(name, limits) for name, limits in spec.limits.items() if not limits.hold(observed[name])]
    judged = broken or list(spec.limits.items())
    words = [f"expected {name} {_text(limits)}, saw {seconds(observed[name])}" for name, limits in judged]
    return Judgement(
        verdict=Verdict.FAIL if broken else Verdict.PASS,
        reason=f"{'; '.join(words)} over {requests(len(samples))}",
        observed=observed,
        evidence=_extremes(exchanges, judged[0][1], observed[judged[0][0]]),
    )


def _late(exchanges: Sequence[Exchange], spec: Latency) -> float:
    """How late the generator was, if that is too much."""
    limits = [each for bounds in spec.limits.values() for each in (bounds.at_least, bounds.at_most) if each]
    tolerated = max(LATE_LEAST, LATE_SHARE * min(limits, default=0.0))
    worst = percentile([each.sent_late for each in exchanges], 0.99)
    return worst if worst > tolerated else 0.0


def _extremes(exchanges: Sequence[Exchange], limits: Bounds, seen: float) -> tuple[str, ...]:
    too_slow = limits.at_most is not None and seen > limits.at_most
    ordered = sorted(exchanges, key=lambda each: each.latency, reverse=too_slow or limits.at_least is None)
    return tuple(each.id for each in ordered[:MOST_EVIDENCE])


def _text(limits: Bounds) -> str:
    low = f"≥ {seconds(limits.at_least)}" if limits.at_least is not None else ""
    high = f"≤ {seconds(limits.at_most)}" if limits.at_most is not None else ""
    return " and ".join(part for part in (low, high) if part)
