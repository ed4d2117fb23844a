"""Which exchanges a check is about: its `traffic:` and its `where:`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from meshtest.checks.evidence import Evidence, Facts, hit_by_fault
from meshtest.scenario.consistency import RECOVERY
from meshtest.scenario.expect_time import Recovers, Returns

if TYPE_CHECKING:
    from meshtest.scenario.expect import CheckSpec, Where
    from meshtest.traffic.model import Exchange
    from meshtest.traffic.record import FaultWindow, History

_ROUNDING = 1e-6
"""Undoes what binary fractions take from a moment."""


def select(spec: CheckSpec, history: History, facts: Facts) -> Evidence:
    """The evidence of one check; probes after the faults count for what asks about recovery only."""
    of_traffic = [each for each in history.exchanges if _is_meant(spec, each, facts)]
    start = min((each.started for each in of_traffic), default=0.0)
    chosen = tuple(each for each in of_traffic if matches(spec.where, each, history, start))
    return Evidence(exchanges=chosen, history=history, facts=facts)


def undecided(spec: CheckSpec, history: History, facts: Facts) -> int:
    """How many exchanges `fault: hit` or `missed` cannot place, since a log line of theirs is missing."""
    if not spec.where.fault:
        return 0
    meant = [each for each in history.exchanges if _is_meant(spec, each, facts)]
    return sum(1 for each in meant if each.faults and not each.complete and not hit_by_fault(each))


def _is_meant(spec: CheckSpec, exchange: Exchange, facts: Facts) -> bool:
    name = facts.traffic.get(exchange.id, "")
    if isinstance(spec.what, (Recovers, Returns)) and name == RECOVERY:
        return True
    if name == RECOVERY:
        return False
    return not spec.traffic or name == spec.traffic


def matches(where: Where, exchange: Exchange, history: History, start: float) -> bool:
    """Whether an exchange is one of those that `where:` describes."""
    request = exchange.request
    headers = all(
        match.holds([value for key, value in request.headers if key.lower() == name])
        for name, match in where.headers.items()
    )
    offset = exchange.started - start
    return (
        headers
        and (not where.method or request.method == where.method)
        and (where.path is None or where.path.holds([urlsplit(request.url).path or "/"]))
        and (where.status is None or where.status.holds(exchange.status))
        and (not where.fault or hit_by_fault(exchange) is (where.fault == "hit"))
        and (where.after is None or offset >= where.after)
        and (where.before is None or offset < where.before)
        and (not where.phase or where.phase in _phases(exchange, history))
        and (not where.change or where.change == _side_of_changes(exchange, history))
    )


def _side_of_changes(exchange: Exchange, history: History) -> str:
    """`before` or `after` all changes; empty between them, or where one was not made."""
    if not history.changes or not all(change.made for change in history.changes):
        return ""
    if exchange.started >= max(change.made for change in history.changes):
        return "after"
    ended = exchange.started + exchange.latency
    return "before" if ended <= min(change.asked for change in history.changes) else ""


def _phases(exchange: Exchange, history: History) -> set[str]:
    """Of a request that went out while a fault came or was taken away, nothing is known: no phase."""
    if not history.faults:
        return set()
    times = [(window, _counts_from(exchange, window)) for window in history.faults]
    phases = {"during"} if any(w.in_force <= sent < w.leaving for w, sent in times) else set()
    if all(sent < window.injected for window, sent in times):
        phases.add("before")
    if all(sent >= window.recovered for window, sent in times):
        phases.add("after")
    return phases


def _counts_from(exchange: Exchange, window: FaultWindow) -> float:
    """When a request was sent; when it was to be sent, where that decided whether it was chosen."""
    return exchange.started + (_ROUNDING if window.chooses else exchange.sent_late)
