"""What every family of faults has in common: a plan on a mesh, then inject and recover.

FaultSpec ──family──► Injection ── inject ─► (traffic) ─► recover, always ─► how much it touched
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshtest.mesh.model import MeshModel
    from meshtest.runtime.base import Sandbox
    from meshtest.traffic.model import Exchange, Request
    from meshtest.waiting import Timeouts


class Pushes(Protocol):
    """What brings configuration to the sidecars, as far as an outage of the control plane concerns it."""

    @property
    def outage(self) -> str:
        """`down` or `paused`; empty: it works."""

    @property
    def held(self) -> int:
        """How many changes were made, and sidecars started, since the outage began."""

    def suspend(self, outage: str) -> None:
        """Changes are made from now on, but nobody waits until they are live."""

    def resume(self) -> None:
        """The control plane is back: bring it, and every sidecar, to the present state."""

    def leave_out(self, proxy: str) -> None:
        """Wait for this sidecar no more: it is about to stand still, or to end."""

    def take_in(self, proxy: str, *, anew: bool) -> None:
        """Bring a sidecar that runs again what it has missed; one that was started `anew` has nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a fault may touch."""

    model: MeshModel
    sandbox: Sandbox
    timeouts: Timeouts
    seed: int
    pushes: Pushes | None = None
    """None where there is nothing but the sandbox."""


class Injection(Protocol):
    """One fault on one mesh. `recover` is called however far `inject` came, and may be called again."""

    @property
    def members(self) -> tuple[str, ...]:
        """What rides in the `baggage` of the requests that are to meet it; empty where it is no matter of requests."""

    @property
    def placement(self) -> str:
        """Where it sits, in words."""

    def inject(self) -> None:
        """Put it in force; returns when it is."""

    def recover(self) -> None:
        """Take it away; returns when it is gone."""

    def hits(self, exchanges: Sequence[Exchange]) -> int:
        """How many requests, connections or packets it touched; `exchanges` are those since it began."""


@runtime_checkable
class Choosing(Protocol):
    """An injection that is about some requests only."""

    def may_meet(self, request: Request, caller: str) -> bool:
        """Whether it is about a request of that pod, as far as can be told before it is sent."""


@runtime_checkable
class Exclusive(Protocol):
    """An injection that cannot be in force while another one holds the same spot."""

    @property
    def spots(self) -> tuple[str, ...]:
        """What it takes hold of, in words that a message can show: `application of default/ratings-v1-0`."""


@runtime_checkable
class Silencing(Protocol):
    """An injection under which sidecars may lose lines of their access logs."""

    @property
    def silent(self) -> frozenset[str]:
        """Their pods, `namespace/name`."""


@runtime_checkable
class Preparing(Protocol):
    """An injection that can do the slow part of its coming before a clock asks for it."""

    def prepare(self) -> None:
        """Have ready what nobody notices yet; `recover` is called, whether or not `inject` was."""


@runtime_checkable
class Detouring(Protocol):
    """An injection that has requests go another way to where they go."""

    @property
    def detours(self) -> Mapping[str, str]:
        """`ip:port` that sidecars send to -> `ip:port` of the pod behind it."""


@runtime_checkable
class Counting(Protocol):
    """An injection whose hits are not requests."""

    @property
    def unit(self) -> str:
        """What they are: `packets`, `connections`, `queries`."""


@runtime_checkable
class Settling(Protocol):
    """An injection that something has to be waited for after, which other faults may delay."""

    def settle(self) -> None:
        """Wait until everything is as before; called once no fault is in force any more."""
