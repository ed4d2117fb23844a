"""What the template gets: plain values for the rows of the page and what they expand to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshtest.report.hops import Link
    from meshtest.report.model import ChangeEntry, CheckEntry, ExchangeEntry, FaultEntry, PolicyEntry, Result
    from meshtest.report.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckView:
    """A row of the checks table; evidence is (id, anchor or empty)."""

    entry: CheckEntry
    observed: Sequence[tuple[str, str]]
    evidence: Sequence[tuple[str, str]]
    more: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultView:
    """A row of the faults table."""

    entry: FaultEntry
    window: str
    hit: str
    missed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeView:
    """A row of the changes table."""

    entry: ChangeEntry
    when: str
    took: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Part of a shares bar."""

    x: float
    width: float
    style: str
    name: str
    number: str
    share: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeView:
    """A row of the exchanges table and the chain under it."""

    anchor: str
    entry: ExchangeEntry
    at: str
    label: str
    style: str
    latency: str
    links: Sequence[Link]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficView:
    """Everything about the exchanges of a result."""

    total: str
    facts: Sequence[tuple[str, str]]
    picture: Timeline | None
    outcomes: Sequence[Segment]
    backends: Sequence[Segment]
    rows: Sequence[ExchangeView]
    not_shown: str
    not_kept: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyView:
    """A policy's head, and how many lines of it are not shown."""

    entry: PolicyEntry
    text: str
    more: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultView:
    """One row of the page and what it expands to."""

    anchor: str
    result: Result
    reason: str
    duration: str
    haystack: str
    timings: Sequence[tuple[str, str]]
    checks: Sequence[CheckView]
    faults: Sequence[FaultView]
    changes: Sequence[ChangeView]
    traffic: TrafficView | None
    policies: Sequence[PolicyView]
    failure: str
    failure_more: int
    reproduce: str
    opened: bool
    evidence: frozenset[str]
    """Ids that checks point to."""
