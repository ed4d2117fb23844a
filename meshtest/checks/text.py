"""The text of a failure: the verdict with its numbers, one exchange as evidence, the scenario's lines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from meshtest.checks.hits import one
from meshtest.checks.judging import seconds
from meshtest.checks.status import ending
from meshtest.checks.verdict import CheckResult, Verdict, combine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshtest.errors import Location
    from meshtest.scenario.model import Scenario
    from meshtest.traffic.model import Exchange, Hop
    from meshtest.traffic.record import History

AROUND = 2
MOST_HOPS = 12
MOST_DONE = 8
ORDER = (Verdict.FAIL, Verdict.UNKNOWN, Verdict.PASS)


def render(results: Sequence[CheckResult], scenario: Scenario, history: History | None = None) -> str:
    """Everything that is to be said of a scenario that did not pass."""
    bad = [result for verdict in ORDER[:2] for result in results if result.verdict is verdict]
    lines = [first_line(result) for result in bad] or ["pass"]
    good = sum(1 for result in results if result.verdict is Verdict.PASS)
    if bad and good:
        lines.append(f"({good} other check{'s' if good > 1 else ''} passed)")
    exchange = _shown(bad, history)
    if exchange is not None:
        lines += ["", *_evidence(exchange)]
    for location in dict.fromkeys(result.location for result in bad if result.location):
        lines += ["", *source(location)]
    if history is not None:
        lines += ["", *_done(history)] if history.faults or history.changes else []
        lines += ["", f"seed {history.seed}, {len(history.exchanges)} exchanges, scenario {scenario.name}"]
    return "\n".join(lines)


def first_line(result: CheckResult) -> str:
    """`attempts: expected ≤ 2 attempts, saw 5 attempts in 12 of 40 requests`."""
    mark = " (unknown)" if result.verdict is Verdict.UNKNOWN else ""
    return f"{result.name}: {result.reason}{mark}"


def summary(results: Sequence[CheckResult]) -> str:
    """One line for a whole scenario: what went wrong, or what was seen."""
    worst = combine(results)
    if worst is Verdict.PASS:
        return "; ".join(first_line(result) for result in results if result.location)
    return next((first_line(result) for result in results if result.verdict is worst), "nothing was checked")


def _shown(bad: Sequence[CheckResult], history: History | None) -> Exchange | None:
    wanted = [each for result in bad for each in result.evidence]
    if history is None or not wanted:
        return None
    by_id = {exchange.id: exchange for exchange in history.exchanges}
    return next((by_id[each] for each in wanted if each in by_id), None)


def _evidence(exchange: Exchange) -> Iterator[str]:
    request = exchange.request
    yield f"exchange {exchange.id}: {exchange.caller} {request.method} {request.url}"
    tail = f" ({exchange.error})" if exchange.error else ""
    yield f"  {ending(exchange)} after {seconds(exchange.latency)}{tail}"
    if exchange.backend is not None:
        backend = exchange.backend
        yield f"  answered by {backend.namespace}/{backend.pod}, attempt {backend.attempt}"
    for hop in exchange.hops[:MOST_HOPS]:
        yield f"  {_hop(hop)}"
    if len(exchange.hops) > MOST_HOPS:
        yield f"  ... {len(exchange.hops) - MOST_HOPS} more log lines"
    if not exchange.complete:
        yield "  (a log line that must exist was not found)"


def _hop(hop: Hop) -> str:
    flags = hop.flags if hop.flags not in ("", "-") else ""
    tried = f"{hop.attempts} attempts" if hop.side == "outbound" else f"attempt {hop.attempt}"
    words = [
        f"{hop.side:8} {hop.pod}",
        str(hop.status) if hop.status is not None else hop.layer,
        flags,
        hop.details or str(hop.raw.get("termination") or ""),
        tried if hop.layer == "http" else "",
        f"-> {hop.upstream}" if hop.upstream and hop.side != "inbound" else "",
        f"from {hop.peer}" if hop.peer else "",
        f"fault {', '.join(hop.faults)}" if hop.faults else "",
    ]
    return "  ".join(word for word in words if word)


def _done(history: History) -> Iterator[str]:
    """What was done to the mesh meanwhile, each with its time since the first request."""
    start = min((each.started for each in history.exchanges), default=0.0)
    for window in history.faults[:MOST_DONE]:
        since, until = (f"{moment - start:+.3f} s" for moment in (window.injected, window.recovered))
        hits = f"{window.hits} {window.unit if window.hits != 1 else one(window)}"
        took = window.recovered - window.leaving
        recovery = f"; recovered in {seconds(took)}" if took > 0 else ""
        yield f"fault {window.id}, {since} to {until}, met {hits}; {window.placement}{recovery}"
    for change in history.changes[:MOST_DONE]:
        when = f"{change.asked - start:+.3f} s" if change.made else "never"
        yield f"{change.id}, {when}: {change.what}{f' ({change.held})' if change.held else ''}"


def source(location: Location, around: int = AROUND) -> list[str]:
    """The lines of a file around a place; the place is marked."""
    try:
        lines = Path(location.file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError):
        return [str(location)]
    first = max(1, location.line - around)
    last = min(len(lines), location.line + around)
    width = len(str(last))
    shown = [
        f"{'>' if number == location.line else ' '} {number:{width}} | {lines[number - 1]}"
        for number in range(first, last + 1)
    ]
    return [str(location), *shown]
