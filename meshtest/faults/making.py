"""What the Python constructors of all families share: places, times and, for faults of requests, the choice."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from meshtest.errors import Location, ScenarioError, nearest
from meshtest.faults.writing import judged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshtest.scenario.faults import FaultSpec

_ALL = ("name", "from_", "during", "until")
_OF_REQUESTS = ("percentage", "attempts", "first", "path", "path_prefix", "method", "headers")


def faulty(
    kind: str,
    action: object,
    to: str | Sequence[str] | None,
    where: dict[str, Any],
    *,
    of_requests: bool = False,
    depth: int = 2,
) -> FaultSpec:
    """A fault as Python code asks for it; `depth` frames up is the user's own line."""
    known = (*_ALL, *_OF_REQUESTS) if of_requests else _ALL
    for key in where:
        if key not in known:
            raise ScenarioError(
                f"unknown argument {key!r}",
                location=line(depth),
                key=kind,
                expected=f"some of {', '.join(sorted(known))}",
                nearest=nearest(key, known),
            )
    return judged(kind, action, {**where, "to": to}, line(depth))


def line(depth: int) -> Location:
    """The line `depth` frames above whoever asks: the user's own."""
    frame = sys._getframe(depth + 1)  # noqa: SLF001 - the documented way to a caller's line
    return Location(file=frame.f_code.co_filename, line=frame.f_lineno)


def names(value: str | Sequence[str] | None) -> tuple[str, ...]:
    """One name or several."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)
