"""Waiting for a condition, and how long each wait may last."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from meshtest.errors import RuntimeFailure

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

T = TypeVar("T")

_FEW = 25
"""So many sidecars a machine with two cores takes within the times below, however busy it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Upper bounds in seconds; none of them is a delay, every wait ends when its condition holds."""

    start: float = 60.0
    """From the first process to every pod ready."""
    push: float = 30.0
    """From a change to every sidecar having acknowledged it."""
    evidence: float = 3.0
    """From the end of a request to the last access log line about it."""
    request: float = 15.0
    """One request, unless it says otherwise."""
    engine_build: float = 1800.0
    """Building the istiod engine once."""
    stop: float = 5.0
    """From asking a process to end to killing it."""

    def for_sidecars(self, number: int) -> Self:
        """The same for a mesh of so many: each of them takes its share of the machine to start, and to take a push."""
        factor = max(1.0, number / _FEW)
        return replace(self, start=self.start * factor, push=self.push * factor)


def wait_until(
    probe: Callable[[], T | None], timeout: float, what: Callable[[], str], *, step: float = 0.002
) -> T:
    """Return the first true value of `probe`, asked every `step` seconds.

    Raises RuntimeFailure after `timeout` seconds; `what` then says what was waited for and the state found.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise RuntimeFailure(f"after {timeout:g} s: {what()}")
        time.sleep(step)


def settled(look: Callable[[], T], timeout: float, *, still: float = 0.2) -> T:
    """What `look` sees when it has seen the same for `still` seconds, or after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    seen, since = look(), time.monotonic()
    while time.monotonic() < min(since + still, deadline):
        time.sleep(still / 10)
        now = look()
        if now != seen:
            seen, since = now, time.monotonic()
    return seen
