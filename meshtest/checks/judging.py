"""From what each exchange shows to one judgement with numbers.

Finding per exchange ──every──► all must hold          any broken one: fail; else any missing one: unknown
                     ──share_of► a share must hold      missing ones count both ways; if that matters: unknown
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshtest.checks import statistics
from meshtest.checks.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshtest.scenario.bounds import ShareBounds
    from meshtest.traffic.model import Exchange

MOST_EVIDENCE = 5
MOST_WORDS = 3
EPSILON = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A check's verdict before it has a name; `reason` starts after the name."""

    verdict: Verdict
    reason: str
    observed: Mapping[str, Any] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one exchange shows; `says` is what was seen, or what is missing."""

    verdict: Verdict
    says: str


Found = tuple["Exchange", Finding]


def finding(says: str, *, holds: bool) -> Finding:
    """An exchange that is as expected, or is not."""
    return Finding(verdict=Verdict.PASS if holds else Verdict.FAIL, says=says)


def missing(why: str) -> Finding:
    """An exchange that does not tell."""
    return Finding(verdict=Verdict.UNKNOWN, says=why)


def unknown(reason: str, **observed: Any) -> Judgement:
    """A judgement without evidence."""
    return Judgement(verdict=Verdict.UNKNOWN, reason=reason, observed=observed)


def every(expected: str, found: Sequence[Found]) -> Judgement:
    """All exchanges must hold."""
    if not found:
        return unknown("no request to judge", requests=0)
    broken = [each for each in found if each[1].verdict is Verdict.FAIL]
    blank = [each for each in found if each[1].verdict is Verdict.UNKNOWN]
    total = requests(len(found))
    observed = {"requests": len(found), "broken": len(broken), "missing": len(blank), "seen": tally(found)}
    if broken:
        saw = f"expected {expected}, saw {_saw(broken)} in {len(broken)} of {total}"
        return Judgement(verdict=Verdict.FAIL, reason=saw, observed=observed, evidence=ids(broken))
    if blank:
        reason = f"{_saw(blank)} in {len(blank)} of {total}"
        return Judgement(verdict=Verdict.UNKNOWN, reason=reason, observed=observed, evidence=ids(blank))
    held = f"{expected} in {'all ' if len(found) > 1 else ''}{total}"
    return Judgement(verdict=Verdict.PASS, reason=held, observed=observed, evidence=ids(found)[:1])


def share_of(what: str, limits: ShareBounds, found: Sequence[Found]) -> Judgement:
    """A share of the exchanges must hold."""
    if not found:
        return unknown("no request to judge", requests=0)
    hits = sum(1 for _, each in found if each.verdict is Verdict.PASS)
    blank = sum(1 for _, each in found if each.verdict is Verdict.UNKNOWN)
    low, high = (_share(what, limits, count, len(found)) for count in (hits, hits + blank))
    seen = {"missing": blank, "seen": tally(found)}
    if low.verdict is not high.verdict:
        reason = f"{blank} of {requests(len(found))} do not tell, and they decide: {low.reason}"
        return unknown(reason, **low.observed, **seen)
    shown = Verdict.FAIL if low.verdict is Verdict.FAIL else Verdict.PASS
    worst = [each for each in found if each[1].verdict is shown] or list(found)
    others = [each for each in found if each[1].verdict is Verdict.FAIL]
    saw = f": {_saw(others)}" if low.verdict is Verdict.FAIL and others else ""
    return Judgement(
        verdict=low.verdict,
        reason=f"{low.reason}{saw}",
        observed={**low.observed, **seen},
        evidence=ids(worst) if low.verdict is Verdict.FAIL else ids(worst)[:1],
    )


def _share(what: str, limits: ShareBounds, hits: int, total: int) -> Judgement:
    seen = f"{percent(hits / total)} ({hits} of {requests(total)})"
    observed: dict[str, Any] = {"requests": total, "hits": hits, "share": hits / total}
    if limits.about is not None:
        return _about(what, limits.about, limits, hits, total)
    if limits.exactly is not None:
        # a share of 30 % of 7 requests has no exact count: less than one request off is as near as can be
        holds = abs(hits - limits.exactly * total) < 1 - EPSILON
        expected = f"exactly {percent(limits.exactly)}"
    else:
        low, high = limits.at_least, limits.at_most
        above = low is None or hits >= low * total - EPSILON
        holds = above and (high is None or hits <= high * total + EPSILON)
        words = [f"≥ {percent(low)}"] if low is not None else []
        words += [f"≤ {percent(high)}"] if high is not None else []
        expected = " and ".join(words)
    verdict = Verdict.PASS if holds else Verdict.FAIL
    return Judgement(verdict=verdict, reason=f"expected {expected} {what}, saw {seen}", observed=observed)


def _about(what: str, share: float, limits: ShareBounds, hits: int, total: int) -> Judgement:
    judged = statistics.accept(hits, total, share, alpha=limits.false_alarm, detect=limits.detect)
    verdict = Verdict.PASS if judged.holds else Verdict.FAIL
    reason = f"expected about {percent(share)} {what}, saw {judged.text()}"
    return Judgement(verdict=verdict, reason=reason, observed=judged.to_dict())


def tally(found: Iterable[Found]) -> dict[str, int]:
    """What was seen, and how often; the most frequent first."""
    return dict(Counter(each.says for _, each in found).most_common(20))


def ids(found: Sequence[Found]) -> tuple[str, ...]:
    """The few exchanges that show it: one of each sort first."""
    firsts = {each.says: exchange.id for exchange, each in reversed(found)}
    rest = [exchange.id for exchange, _ in found]
    return tuple(dict.fromkeys([*firsts.values(), *rest]))[:MOST_EVIDENCE]


def requests(count: int) -> str:
    """`1 request`, `40 requests`."""
    return f"{count} request" if count == 1 else f"{count} requests"


def percent(share: float) -> str:
    """`99.5%`."""
    return f"{share * 100:.4g}%"


def seconds(value: float) -> str:
    """`250ms`, `1.2s`."""
    return f"{value * 1000:.3g}ms" if value < 1 else f"{value:.4g}s"


def _saw(found: Sequence[Found]) -> str:
    counted = Counter(each.says for _, each in found).most_common()
    if len(counted) == 1:
        return counted[0][0]
    words = [f"{says} ({count})" for says, count in counted[:MOST_WORDS]]
    return ", ".join([*words, "..."] if len(counted) > MOST_WORDS else words)
