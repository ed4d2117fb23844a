"""One fault of a mesh from its plan to its end: when it was in force, and what it touched."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshtest.errors import ScenarioError
from meshtest.faults.base import Counting
from meshtest.traffic.record import FaultWindow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshtest.faults.base import Injection
    from meshtest.live.timing import Clock
    from meshtest.scenario.faults import FaultSpec
    from meshtest.traffic.model import Exchange


@dataclass(slots=True, kw_only=True)
class Active:
    """One fault, to come, in force or past, and what is known of it so far."""

    id: str
    spec: FaultSpec
    injection: Injection
    clock: Clock
    injected: float = 0.0
    in_force: float = 0.0
    leaving: float = 0.0
    recovered: float = 0.0
    eligible: int = 0
    """How many requests it was about so far, hit or not."""
    marked: int = 0
    seen: int = 0
    """Requests sent since it was injected, marked or not."""
    hits: int = 0
    met: list[Exchange] = field(default_factory=list)
    """The exchanges during its time."""
    going: threading.Lock = field(default_factory=threading.Lock, repr=False)
    """Held while it is counted or taken away: who counts in the middle of that finds its counters gone."""

    @property
    def by_clock(self) -> bool:
        """Whether it is injected and recovered at set times; faults of requests ride on chosen ones instead."""
        return not self.spec.of_requests and (self.spec.during is not None or self.spec.until is not None)

    def window(self) -> FaultWindow:
        """As the history tells it."""
        injected, recovered = self.injected, self.recovered or time.time()
        in_force, leaving = self.in_force or recovered, self.leaving
        during, began = self.spec.during, self.clock.began
        if self.spec.of_requests and during is not None and began is not None:
            injected, in_force, leaving = began + during.at, 0.0, 0.0
            if during.lasts is not None:
                recovered = min(recovered, injected + during.lasts)
        return FaultWindow(
            id=self.id,
            kind=self.spec.kind,
            target=", ".join(self.spec.to),
            placement=self.injection.placement,
            injected=injected,
            recovered=max(injected, recovered),
            hits=self.hits,
            marked=self.marked,
            unit=self.injection.unit if isinstance(self.injection, Counting) else "requests",
            in_force=in_force,
            leaving=leaving,
            chooses=self.spec.of_requests,
        )

    def count(self, exchanges: Iterable[Exchange]) -> None:
        """Add what finished exchanges show, of those that its time has met."""
        with self.going:
            end = self.recovered or float("inf")
            fresh = [
                each
                for each in exchanges
                if self.spec.of_requests
                or (each.started <= end and each.started + each.latency >= self.injected)
            ]
            if fresh:
                self.met.extend(fresh)
                if self.in_force:  # else it still comes in, and is asked at its end
                    self.hits = self.injection.hits(self.met)

    def events(self, rate: float | None) -> Iterator[tuple[float, bool]]:
        """When it is injected (True) and recovered, in seconds after the traffic began."""
        during, until = self.spec.during, self.spec.until
        start = during.at if during else 0.0
        yield start, True
        if during is not None and during.lasts is not None:
            yield start + during.lasts, False
        elif until is not None:
            if rate is None:
                raise ScenarioError(
                    "nobody knows when so many requests have been sent",
                    location=self.spec.location, key=f"{self.spec.kind}.until",
                    expected="rate: and for: in traffic; or during",
                )  # fmt: skip
            yield max(start, until / rate), False
