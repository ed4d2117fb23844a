"""The faults that are in force on a mesh: which requests they take, and what became of them."""

from __future__ import annotations

import contextlib
import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshtest.envoy.marks import baggage_member
from meshtest.faults import http
from meshtest.traffic.model import FaultWindow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshtest.mesh.model import MeshModel
    from meshtest.scenario.faults import FaultSpec
    from meshtest.traffic.model import Exchange


@dataclass(slots=True, kw_only=True)
class Active:
    """One fault in force, and what is known of it so far."""

    id: str
    spec: FaultSpec
    members: tuple[str, ...]
    """What the driver adds to the `baggage` of a request that is to meet it."""
    placement: str
    injected: float
    recovered: float = 0.0
    marked: int = 0
    hits: int = 0

    def window(self) -> FaultWindow:
        """As the history tells it."""
        return FaultWindow(
            id=self.id,
            kind=self.spec.kind,
            target=", ".join(self.spec.to),
            placement=self.placement,
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
    def hold(self, specs: Sequence[FaultSpec], model: MeshModel) -> Iterator[Sequence[Active]]:
        """Inject, and recover at the end of the block."""
        fresh = [self._plan(spec, model) for spec in specs]
        self._active.extend(fresh)
        try:
            yield fresh
        finally:
            for fault in fresh:
                self._active.remove(fault)
                fault.recovered = time.time()
                self._ended.append(fault)

    def _plan(self, spec: FaultSpec, model: MeshModel) -> Active:
        name = spec.name or f"{spec.kind}-{next(self._numbers)}"
        taken = {fault.id for fault in (*self._active, *self._ended)}
        fault_id = name if name not in taken else f"{name}-{next(self._numbers)}"
        return Active(
            id=fault_id,
            spec=spec,
            members=tuple(baggage_member(mark) for mark in http.marks(spec, fault_id, model)),
            placement=http.placement(spec, model),
            injected=time.time(),
        )

    def count(self, exchanges: Sequence[Exchange]) -> None:
        """Add what finished exchanges show: which faults really met them."""
        for fault in self._active:
            fault.hits += sum(any(fault.id in hop.faults for hop in exchange.hops) for exchange in exchanges)
