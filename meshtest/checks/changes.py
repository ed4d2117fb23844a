"""What is always checked of changes: one that was never made proves nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.checks.judging import seconds
from meshtest.checks.verdict import CheckResult, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.errors import Location
    from meshtest.traffic.record import ChangeMade, History


def made(history: History, places: Mapping[str, Location]) -> list[CheckResult]:
    """Per change: whether it was made. `places` are the lines that ask for the changes, by name."""
    return [
        CheckResult(
            verdict=Verdict.PASS if change.made else Verdict.UNKNOWN,
            name=change.id if change.id.startswith("change") else f"change {change.id}",
            reason=_words(change),
            observed={"seconds": change.made - change.asked} if change.made else {},
            location=places.get(change.id),
        )
        for change in history.changes
    ]


def _words(change: ChangeMade) -> str:
    if not change.made:
        return f"its time never came ({change.what}): the traffic had ended before"
    held = f", held up: {change.held}" if change.held else ""
    return f"{change.what} in {seconds(change.made - change.asked)}{held}"
