"""What the page shows of each result: a Result in, plain values for the template out.

Nothing here is HTML; the template escapes all of it.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshtest.report import words
from meshtest.report.exchanges import CLASSES, OK, outcome_class, outcome_label, sample, unpack
from meshtest.report.hops import chain
from meshtest.report.journal import slug
from meshtest.report.model import VERDICTS
from meshtest.report.timeline import WIDTH, palette, timeline
from meshtest.report.viewmodel import (
    ChangeView,
    CheckView,
    ExchangeView,
    FaultView,
    PolicyView,
    ResultView,
    Segment,
    TrafficView,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshtest.report.model import (
        ChangeEntry,
        CheckEntry,
        ExchangeEntry,
        FaultEntry,
        PolicyEntry,
        Result,
        Summary,
    )

_DRAWN = 8
"""Fewer exchanges are clearer as a table than as a picture."""
_ILL = ("fail", "error", "unknown")
_WEIGHT = 5
"""How many times the room of a passed result one gets that must be looked into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How much one scenario may take of the page."""

    rows: int
    titled: int
    dotted: int


def views(results: Sequence[Result], *, rows: int = 1000) -> list[ResultView]:
    """The rows of the page, worst verdict first; about `rows` exchanges are shown over all of them."""
    ordered = sorted(
        results, key=lambda one: (VERDICTS.index(one["verdict"]), one["file"], one["line"], one["id"])
    )
    ill = sum(one["verdict"] in _ILL for one in ordered)
    share = rows / max(1, len(ordered) + (_WEIGHT - 1) * ill)
    few = len(ordered) == 1 or ill <= 3
    return [_view(one, _budget(one, share), few=few) for one in ordered]


def _budget(one: Result, share: float) -> Budget:
    """More for what must be looked into, less where many share the page."""
    rows = int(share * (_WEIGHT if one["verdict"] in _ILL else 1))
    return Budget(
        rows=min(150, max(5, rows)),
        titled=min(160, max(30, 2 * rows)),
        dotted=min(1800, max(200, 12 * rows)),
    )


def _view(one: Result, budget: Budget, *, few: bool) -> ResultView:
    anchor = slug(one["name"], one["id"])
    traffic, anchors = _traffic(one, budget, anchor)
    failure, more = words.shorten(one["failure"], lines=120, characters=8000)
    start = one["exchanges"].get("summary", {}).get("strip", {}).get("start", 0.0) or one["start"]
    return ResultView(
        anchor=anchor,
        result=one,
        reason=one["reason"] or _silence(one),
        duration=words.seconds(one["duration"]) if one["duration"] else "",
        haystack=_haystack(one),
        timings=[(name, words.seconds(took)) for name, took in one["timings"].items()],
        checks=[_check(check, anchors) for check in one["checks"]],
        faults=[_fault(fault, start) for fault in one["faults"]],
        changes=[_change(change, start) for change in one["changes"]],
        traffic=traffic,
        policies=[_policy(policy) for policy in one["policies"]],
        failure=failure,
        failure_more=more,
        reproduce=reproduce(one),
        opened=few and one["verdict"] in _ILL,
        evidence=frozenset(anchors),
    )


def _silence(one: Result) -> str:
    if one["verdict"] != "pass":
        return "no reason given"
    names = ", ".join(check.get("name", "") for check in one["checks"])
    return f"{names} held" if names else ""


def _haystack(one: Result) -> str:
    """What the text filter looks into."""
    kinds = (f"{fault.get('kind', '')} {fault.get('target', '')}" for fault in one["faults"])
    labels = (f"{name}:{value}" for name, value in one["labels"].items())
    policies = (policy.get("ref", "") for policy in one["policies"])
    parts = (
        one["id"],
        one["name"],
        one["file"],
        one["description"],
        one["reason"],
        *labels,
        *kinds,
        *policies,
    )
    return " ".join(parts).lower()[:4000]


def reproduce(one: Result) -> str:
    """The command that runs this result again, with the same random choices."""
    words_of_it = ["pytest", one["id"], f"--mesh-seed={one['seed']}"]
    if one["runtime"]:
        words_of_it.append(f"--mesh-runtime={one['runtime']}")
    return shlex.join(words_of_it)


def _check(check: CheckEntry, anchors: Mapping[str, str]) -> CheckView:
    evidence = check.get("evidence", [])
    return CheckView(
        entry=check,
        observed=[(name, words.brief(value)) for name, value in check.get("observed", {}).items()],
        evidence=[(one, anchors.get(one, "")) for one in evidence[:12]],
        more=max(0, len(evidence) - 12),
    )


def _fault(fault: FaultEntry, start: float) -> FaultView:
    injected, recovered = fault.get("injected") or 0.0, fault.get("recovered") or 0.0
    until = words.offset(recovered - start) if recovered else "never recovered"
    took = recovered - (fault.get("leaving") or recovered)
    until += f", recovered in {words.seconds(took)}" if took > 0 else ""
    hits, marked = fault.get("hits") or 0, fault.get("marked") or 0
    return FaultView(
        entry=fault,
        window=f"{words.offset(injected - start)} to {until}" if injected else "",
        hit=f"{words.count(hits)} {fault.get('unit') or 'hits'}"
        + (f", {words.count(marked)} requests chosen" if marked else ""),
        missed=not hits,
    )


def _change(change: ChangeEntry, start: float) -> ChangeView:
    asked, made = change.get("asked") or 0.0, change.get("made") or 0.0
    return ChangeView(
        entry=change,
        when=words.offset(asked - start) if made else "",
        took=words.seconds(made - asked) if made else "",
    )


def _policy(policy: PolicyEntry) -> PolicyView:
    text, more = words.shorten(policy.get("yaml", ""), lines=150, characters=6000)
    return PolicyView(entry=policy, text=text, more=more)


def _traffic(one: Result, budget: Budget, anchor: str) -> tuple[TrafficView | None, dict[str, str]]:
    table = one["exchanges"]
    entries = unpack(table)
    if not entries:
        return None, {}
    summary = table["summary"]
    evidence = [found for check in one["checks"] for found in check.get("evidence", [])[:12]]
    shown = sample(entries, evidence=evidence, limit=budget.rows)
    start = summary["strip"]["start"]
    rows = [_exchange(found, f"{anchor}-x{index}", start) for index, found in enumerate(shown)]
    picture = timeline(
        entries,
        one["faults"],
        summary["strip"],
        titled=budget.titled,
        dotted=budget.dotted,
        changes=one["changes"],
    )
    view = TrafficView(
        total=words.count(table["total"]),
        facts=_facts(summary),
        picture=picture if table["total"] >= _DRAWN else None,
        outcomes=_outcome_segments(summary, entries),
        backends=_segments(summary["backends"], palette(summary["backends"]), "no backend"),
        rows=rows,
        not_shown=words.count(len(entries) - len(shown)) if len(entries) > len(shown) else "",
        not_kept=words.count(table["left_out"]) if table["left_out"] else "",
    )
    return view, {row.entry["id"]: row.anchor for row in rows if row.entry["id"] in evidence}


def _facts(summary: Summary) -> list[tuple[str, str]]:
    facts = [(name, words.seconds(value / 1000)) for name, value in summary["latency_ms"].items()]
    attempts = {number: count for number, count in summary["attempts"].items() if number != "0"}
    if attempts:
        told = ", ".join(f"{number} ({words.count(count)})" for number, count in attempts.items())
        facts.append(("attempts (exchanges)", told))
    return facts


def _exchange(one: ExchangeEntry, anchor: str, start: float) -> ExchangeView:
    return ExchangeView(
        anchor=anchor,
        entry=one,
        at=words.offset(one["started"] - start),
        label=outcome_label(one),
        style=outcome_class(one),
        latency=words.seconds(one["latency"]),
        links=chain(one),
    )


def _outcome_segments(summary: Summary, entries: Iterable[ExchangeEntry]) -> list[Segment]:
    """Shares per outcome, in the colours of their classes; `entries` tell which class a label is of."""
    styles = {outcome_label(one): outcome_class(one) for one in entries}
    order = {name: CLASSES.index(styles.get(name, OK)) for name in summary["outcomes"]}
    counts = dict(sorted(summary["outcomes"].items(), key=lambda item: (order[item[0]], -item[1])))
    return _segments(counts, styles, "")


def _segments(counts: Mapping[str, int], styles: Mapping[str, str], nameless: str) -> list[Segment]:
    whole, x, found = sum(counts.values()), 0.0, []
    for name, number in counts.items():
        width = WIDTH * number / whole
        found.append(
            Segment(
                x=round(x, 1),
                width=round(max(width, 1.5), 1),
                style=styles.get(name, OK),
                name=name or nameless,
                number=words.count(number),
                share=words.share(number, whole),
            )
        )
        x += width
    return found
