"""How numbers and times read in the report."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any


def seconds(value: float) -> str:
    """`340 µs`, `12.3 ms`, `2.31 s`, `1 min 12 s`."""
    if value < 0.001:
        return f"{value * 1e6:.0f} µs"
    if value < 1:
        return f"{value * 1000:.3g} ms" if value < 0.9995 else "1 s"
    if value < 60:
        return f"{value:.2f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s"


def share(part: int, whole: int) -> str:
    """A percentage that says 0 % and 100 % only where that is exact."""
    if not whole or part in (0, whole):
        return "100 %" if part else "0 %"
    percent = 100 * part / whole
    return "< 0.1 %" if percent < 0.1 else "> 99.9 %" if percent > 99.9 else f"{percent:.1f} %"


def moment(epoch: float) -> str:
    """A time of day, in UTC since no reader's zone is known."""
    if not epoch:
        return ""
    try:
        return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):  # a journal may hold any number
        return str(epoch)


def offset(value: float) -> str:
    """Time since the first exchange: `+1.204 s`."""
    return f"{value:+.3f} s"


def count(number: int) -> str:
    """Thousands apart by a thin space."""
    return f"{number:,}".replace(",", "\u202f")


def brief(value: Any) -> str:
    """An observed value on one line."""
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def shorten(text: str, *, lines: int, characters: int) -> tuple[str, int]:
    """The head of a text, and how many of its lines are not in it."""
    whole = text.splitlines()
    head: list[str] = []
    for line in whole[:lines]:
        if characters <= 0:
            break
        head.append(line[:characters])
        characters -= len(line) + 1
    return "\n".join(head), len(whole) - len(head)
