"""The faults that are in force on a mesh: which requests they take, and what became of them."""

from __future__ import annotations

import contextlib
import itertools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshtest.faults.families import plan
from meshtest.traffic.model import FaultWindow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshtest.faults.base import Ground, Injection
    from meshtest.scenario.faults import FaultSpec
    from meshtest.traffic.model import Exchange


@dataclass(slots=True, kw_only=True)
class Active:
    """One fault, in force or past, and what is known of it so far."""

    id: str
    spec: FaultSpec
    injection: Injection
    injected: float = 0.0
    recovered: float = 0.0
    marked: int = 0
    hits: int = 0
    met: list[Exchange] = field(default_factory=list)
    """The exchanges since it was injected."""

    def window(self) -> FaultWindow:
        """As the history tells it."""
        return FaultWindow(
            id=self.id,
            kind=self.spec.kind,
            target=", ".join(self.spec.to),
            placement=self.injection.placement,
            injected=self.injected,
            recovered=self.recovered or time.time(),
            hits=self.hits,
            marked=self.marked,
        )


class ActiveFaults:
    """Every fault of a mesh, in the order of injection; a fault leaves when its block ends."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._active: list[Active] = []
        self._ended: list[Active] = []

    @property
    def active(self) -> Sequence[Active]:
        """What is in force now."""
        return tuple(self._active)

    @property
    def windows(self) -> tuple[FaultWindow, ...]:
        """Every fault that was or is in force since the last `forget`."""
        return tuple(fault.window() for fault in (*self._ended, *self._active))

    def forget(self) -> None:
        """Start a new history."""
        self._ended.clear()

    @contextlib.contextmanager
    def hold(self, specs: Sequence[FaultSpec], ground: Ground) -> Iterator[Sequence[Active]]:
        """Inject in their order, and recover in the reverse one at the end of the block, whatever happened in it."""
        planned = [self._plan(spec, ground) for spec in specs]
        with contextlib.ExitStack() as recovery:
            for fault in planned:
                recovery.callback(self._recover, fault)
                fault.injection.inject()
                fault.injected = time.time()
                self._active.append(fault)
            yield planned

    def _recover(self, fault: Active) -> None:
        try:
            fault.injection.recover()
        finally:
            if fault in self._active:
                self._active.remove(fault)
                fault.hits = fault.injection.hits(fault.met)
                fault.met.clear()
                fault.recovered = time.time()
                self._ended.append(fault)

    def _plan(self, spec: FaultSpec, ground: Ground) -> Active:
        taken = {fault.id for fault in (*self._active, *self._ended)}
        name = spec.name or f"{spec.kind}-{next(self._numbers)}"
        fault_id = name if name not in taken else f"{name}-{next(self._numbers)}"
        return Active(id=fault_id, spec=spec, injection=plan(spec, fault_id, ground))

    def count(self, exchanges: Sequence[Exchange]) -> None:
        """Add what finished exchanges show: which faults really met them."""
        for fault in self._active:
            fault.met.extend(exchanges)
            fault.hits = fault.injection.hits(fault.met)
