"""The few lines that end a run in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshtest.report.clean import printable
from meshtest.report.model import VERDICTS
from meshtest.report.results import complete, counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_WORDS = {"pass": "passed", "fail": "failed", "error": "in error", "unknown": "unknown", "skipped": "skipped"}
_TOLD = ("fail", "error", "unknown")


def summary_lines(results: Iterable[Mapping[str, Any]], *, page: str = "", width: int = 0) -> list[str]:
    """`mesh: 15 passed, 1 failed, 1 unknown; report: PAGE`, then a line for each result that is not well."""
    found = [complete(one) for one in results]
    told = sorted(
        (one for one in found if one["verdict"] in _TOLD), key=lambda one: VERDICTS.index(one["verdict"])
    )
    label = max((len(one["verdict"]) for one in told), default=0)
    lines = [_headline(counts(found), page)]
    for one in told:
        reason = printable(" ".join((one["reason"] or "no reason given").split()))
        line = f"  {one['verdict'].upper():<{label}}  {printable(one['name'])}: {reason}"
        lines.append(line if not width or len(line) <= width else f"{line[: width - 1]}…")
    return lines


def _headline(found: Mapping[str, int], page: str) -> str:
    shown = [f"{found[name]} {word}" for name, word in _WORDS.items() if found.get(name)]
    report = f"; report: {page}" if page else ""
    return f"mesh: {', '.join(shown) or 'nothing ran'}{report}"
