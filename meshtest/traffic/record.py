"""What happened in a run: every exchange, every fault with what it touched, every change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshtest.traffic.model import Exchange


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultWindow:
    """A fault as it ran: times are epoch seconds, `hits` what it touched.

    injected ─ coming in ─► in_force ─────► leaving ─ being taken away ─► recovered
    """

    id: str
    kind: str
    target: str
    placement: str
    injected: float
    recovered: float
    hits: int
    marked: int
    """How many requests were chosen for it; 0 for a fault that meets whatever comes."""
    unit: str = "requests"
    """What `hits` are: requests, packets, queries, connections."""
    in_force: float = 0.0
    leaving: float = 0.0
    chooses: bool = False
    """Whether it rides on chosen requests, by the time at which each was to be sent, sent late or not."""

    def __post_init__(self) -> None:
        """A fault that comes and goes at once is never half there."""
        object.__setattr__(self, "in_force", self.in_force or self.injected)
        object.__setattr__(self, "leaving", self.leaving or self.recovered)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeMade:
    """A change of the mesh's manifests while traffic ran; times are epoch seconds."""

    id: str
    what: str
    """`apply AuthorizationPolicy default/locked`."""
    asked: float = 0.0
    """0: its time never came."""
    made: float = 0.0
    """When `apply` returned: live on every sidecar that no fault kept from it."""
    held: str = ""
    """Why it was live nowhere then: the control plane was out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Everything that was sent and everything that was done to the mesh meanwhile."""

    exchanges: tuple[Exchange, ...]
    faults: tuple[FaultWindow, ...] = ()
    changes: tuple[ChangeMade, ...] = ()
    seed: int = 0
