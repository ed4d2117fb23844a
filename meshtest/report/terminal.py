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
MOST_MESSAGES = 20


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


def message_lines(results: Iterable[Mapping[str, Any]]) -> list[str]:
    """`FILE:LINE: warning [IST0101]: OBJECT: TEXT` for each thing that istiod and `istioctl analyze` warn of, once.

    What the analyzers call an error is one of references, which a cluster takes: a warning here.
    """
    lines: dict[str, None] = {}
    for one in results:
        for message in complete(one)["messages"]:
            if message["level"] in {"error", "warning"}:
                where = f"{message['file']}:{message['line']}: " if message["file"] else ""
                code = f" [{message['code']}]" if message["code"] else ""
                lines[printable(f"{where}warning{code}: {' '.join(message['text'].split())}")] = None
    shown = sorted(lines)
    left = len(shown) - MOST_MESSAGES
    return shown if left <= 0 else [*shown[:MOST_MESSAGES], f"{left} more warnings are in the report"]


def _headline(found: Mapping[str, int], page: str) -> str:
    shown = [f"{found[name]} {word}" for name, word in _WORDS.items() if found.get(name)]
    report = f"; report: {page}" if page else ""
    return f"mesh: {', '.join(shown) or 'nothing ran'}{report}"
