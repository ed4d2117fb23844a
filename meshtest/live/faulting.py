"""The faults that are in force on a mesh: which requests they take, when they come and go, what became of them.

hold ──► plan all ──► inject those without a time ──► traffic begins ──► clock: inject ... recover
  end, whatever happened: clock stops ──► recover in reverse order ──► settle
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from typing import TYPE_CHECKING

from meshtest.errors import ScenarioError
from meshtest.faults.base import Detouring, Exclusive, Preparing, Settling, Silencing
from meshtest.faults.families import plan
from meshtest.faults.judging import can_be_brought, refuse_overlap
from meshtest.live.active import Active
from meshtest.live.timing import Clock
from meshtest.scenario.fault_control_plane import OUTAGE
from meshtest.scenario.faults import FaultSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshtest.faults.base import Ground
    from meshtest.live.timing import Event
    from meshtest.traffic.model import Exchange
    from meshtest.traffic.record import FaultWindow


def are_faults(given: Sequence[object]) -> tuple[FaultSpec, ...]:
    """The same; raises ScenarioError for what is no fault."""
    found: list[FaultSpec] = []
    for each in given:
        if not isinstance(each, FaultSpec):
            raise ScenarioError(
                f"{each!r} is no fault",
                key="inject",
                expected="faults.abort(...), faults.loss(...) and the like",
            )
        found.append(each)
    return tuple(found)


class ActiveFaults:
    """Every fault of a mesh, in the order of injection; a fault leaves when its block or its time ends."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self._waiting: list[Active] = []
        """Planned, and injected by a clock later."""
        self._active: list[Active] = []
        self._ended: list[Active] = []
        self._unsettled: list[Settling] = []
        self._meanwhile: list[tuple[Clock, Sequence[Event]]] = []
        """What else is done by the clocks."""

    @property
    def active(self) -> Sequence[Active]:
        """What is in force now."""
        with self._lock:
            return tuple(self._active)

    @property
    def windows(self) -> tuple[FaultWindow, ...]:
        """Every fault that was or is in force since the last `forget`."""
        with self._lock:
            return tuple(fault.window() for fault in (*self._ended, *self._active))

    def forget(self) -> None:
        """Start a new history."""
        with self._lock:
            self._ended.clear()
            if not self._active and not self._waiting:
                self._numbers = itertools.count(1)

    @contextlib.contextmanager
    def hold(
        self, specs: Sequence[FaultSpec], ground: Ground, meanwhile: Sequence[Event] = ()
    ) -> Iterator[Sequence[Active]]:
        """Inject in their order, and recover in the reverse one at the end of the block, whatever happened in it.

        Faults with a time come and go by the clock, which starts with the first traffic in the block; what is done
        `meanwhile` comes after what faults do at the same moment.
        """
        can_be_brought(specs)
        clock = Clock()
        planned: list[Active] = []
        for spec in specs:
            planned.append(self._plan(spec, ground, clock, planned))
        outages: list[Active] = []
        with contextlib.ExitStack() as recovery:
            recovery.callback(self._settle)
            for fault in planned:
                recovery.callback(self._recover, fault)
                if fault.by_clock:
                    if isinstance(fault.injection, Preparing):
                        fault.injection.prepare()
                    self._waiting.append(fault)
                else:
                    self._inject(fault)
                if fault.spec.kind == OUTAGE:
                    outages.append(fault)
            for fault in outages:  # before all others, which the control plane takes from the sidecars
                recovery.callback(self._recover, fault)
            recovery.callback(clock.stop)
            also = (clock, meanwhile)
            self._meanwhile.append(also)
            recovery.callback(self._meanwhile.remove, also)
            yield planned

    def begin_traffic(self, at: float, rate: float | None) -> None:
        """Start the clocks that stand still yet, at `at` in epoch seconds; `rate` is that of the traffic."""
        with self._lock:
            fresh: dict[int, Clock] = {}
            events: dict[int, list[Event]] = {}
            for fault in (*self._active, *self._waiting):
                if fault.clock.began is None:
                    fresh[id(fault.clock)] = fault.clock
                    events.setdefault(id(fault.clock), []).extend(self._events(fault, rate))
            for clock, meanwhile in self._meanwhile:
                if clock.began is None and meanwhile:
                    fresh[id(clock)] = clock
                    events.setdefault(id(clock), []).extend(meanwhile)
        for key, clock in fresh.items():
            clock.start(at, events[key])

    @property
    def timed(self) -> bool:
        """Whether anything depends on when the traffic starts."""
        with self._lock:
            faults = (*self._active, *self._waiting)
            return any(fault.spec.during or fault.by_clock for fault in faults) or any(
                meanwhile for _, meanwhile in self._meanwhile
            )

    def check(self) -> None:
        """Raise what went wrong by the clock."""
        for clock in (
            *(fault.clock for fault in self._everything()),
            *(clock for clock, _ in self._meanwhile),
        ):
            clock.check()

    def detours(self, since: float) -> dict[str, str]:
        """Where sidecars sent what went another way since a moment -> the pod's own `ip:port` behind it."""
        found = (f.injection.detours for f in self._since(since) if isinstance(f.injection, Detouring))
        return {there: behind for each in found for there, behind in each.items()}

    def silent(self, since: float) -> frozenset[str]:
        """The pods whose sidecars may have lost log lines since then."""
        found = (f.injection.silent for f in self._since(since) if isinstance(f.injection, Silencing))
        return frozenset[str]().union(*found)

    def count(self, exchanges: Sequence[Exchange]) -> None:
        """Add what finished exchanges show: which faults really met them."""
        if exchanges:
            for fault in self._since(min(each.started for each in exchanges)):
                fault.count(exchanges)

    def _events(self, fault: Active, rate: float | None) -> Iterator[Event]:
        if fault.by_clock:
            for offset, begins in fault.events(rate):
                act = self._inject if begins else self._recover
                yield offset, lambda act=act: act(fault)  # type: ignore[misc]  # mypy cannot type the default

    def _everything(self) -> list[Active]:
        with self._lock:
            return [*self._ended, *self._active, *self._waiting]

    def _since(self, earliest: float) -> list[Active]:
        """The faults that are in force, or were after `earliest`."""
        with self._lock:
            late = itertools.takewhile(lambda fault: fault.recovered >= earliest, reversed(self._ended))
            return [*late, *self._active]

    def _inject(self, fault: Active) -> None:
        """Traffic may end while it still comes in: from now on, what is under way counts as in its time."""
        with self._lock:
            fault.injected = time.time()
            self._waiting = [each for each in self._waiting if each is not fault]
            self._active.append(fault)
        try:
            fault.injection.inject()
        except BaseException:
            with self._lock:
                self._active.remove(fault)
            raise
        fault.in_force = time.time()

    def _recover(self, fault: Active) -> None:
        if fault.recovered:
            return
        with fault.going:
            fault.leaving = time.time() if fault.injected else 0.0
            try:
                fault.injection.recover()
            finally:
                self._end(fault)
        if isinstance(fault.injection, Settling):
            self._unsettled.append(fault.injection)
            if not self.active:  # else another fault may be what it would wait for
                self._settle()

    def _end(self, fault: Active) -> None:
        with self._lock:
            if fault in self._waiting:  # its time never came
                self._waiting.remove(fault)
                fault.injected = fault.recovered = time.time()
                self._ended.append(fault)
            elif fault in self._active:
                self._active.remove(fault)
                fault.recovered = time.time()
                self._ended.append(fault)
                fault.hits = fault.injection.hits(fault.met)

    def _settle(self) -> None:
        while self._unsettled:
            self._unsettled.pop(0).settle()

    def _plan(self, spec: FaultSpec, ground: Ground, clock: Clock, planned: Sequence[Active]) -> Active:
        others = (*planned, *self._active, *self._waiting)
        taken = {fault.id for fault in (*others, *self._ended)}
        name = spec.name or f"{spec.kind}-{next(self._numbers)}"
        fault_id = name if name not in taken else f"{name}-{next(self._numbers)}"
        injection = plan(spec, fault_id, ground)
        if isinstance(injection, Exclusive):
            for other in others:
                if isinstance(other.injection, Exclusive):
                    refuse_overlap(other.spec, other.injection.spots, spec, injection.spots)
        return Active(id=fault_id, spec=spec, injection=injection, clock=clock)
