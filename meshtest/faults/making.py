"""What the Python constructors of all families share: places, times and, for faults of requests, the choice."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from meshtest.errors import Location, ScenarioError, nearest
from meshtest.scenario.faults import During, FaultMatch, FaultSpec, PathMatch

if TYPE_CHECKING:
    from collections.abc import Sequence

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
                f"unknown argument {key!r}", key=kind, expected=f"some of {', '.join(sorted(known))}",
                nearest=nearest(key, known),
            )  # fmt: skip
    frame = sys._getframe(depth)  # noqa: SLF001 - the documented way to a caller's line
    return FaultSpec(
        kind=kind,
        action=action,
        to=names(to),
        location=Location(file=frame.f_code.co_filename, line=frame.f_lineno),
        name=where.get("name", ""),
        sender=names(where.get("from_")),
        match=_match(where),
        percentage=share(where.get("percentage", 100.0), f"{kind}.percentage"),
        attempts=tuple(where.get("attempts", ())),
        first=where.get("first"),
        during=_during(where.get("during"), kind),
        until=where.get("until"),
    )


def names(value: str | Sequence[str] | None) -> tuple[str, ...]:
    """One name or several."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def share(value: float, key: str) -> float:
    """A percentage that chooses something."""
    percentage = float(value)
    if not 0 < percentage <= 100:
        raise ScenarioError(f"{percentage:g} is no share", key=key, expected="more than 0, at most 100")
    return percentage


def _match(where: dict[str, Any]) -> FaultMatch | None:
    exact, prefix = where.get("path", ""), where.get("path_prefix", "")
    path = PathMatch(exact=exact, prefix=prefix) if exact or prefix else None
    method, headers = where.get("method", ""), where.get("headers", {})
    return FaultMatch(path=path, method=method, headers=headers) if path or method or headers else None


def _during(value: Any, kind: str) -> During | None:
    if value is None or isinstance(value, During):
        return value
    at, lasts = value
    if at < 0 or (lasts is not None and lasts <= 0):
        raise ScenarioError(
            f"({at}, {lasts}) is no window", key=f"{kind}.during", expected="(at, for) in seconds, for > 0"
        )
    return During(at=float(at), lasts=None if lasts is None else float(lasts))
