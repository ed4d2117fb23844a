"""Applications that get less CPU or memory than they need; only where the runtime has containers.

Crossed by every exchange in its window that one of the limited pods took part in, as with `kill` and `pause`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshtest.errors import Unsupported
from meshtest.mesh.quantities import quantity_of
from meshtest.runtime.abilities import Limits as Limiting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshtest.faults.base import Ground
    from meshtest.mesh.model import Pod
    from meshtest.scenario.fault_workload import Limits
    from meshtest.traffic.model import Exchange


@dataclass(slots=True, kw_only=True)
class Limited:
    """Applications under limits."""

    id: str
    limits: Limits
    pods: tuple[Pod, ...]
    ground: Ground = field(repr=False)
    crossed: Callable[[Sequence[Exchange]], int] = field(repr=False)
    """How many exchanges led to the pods."""
    members: tuple[str, ...] = ()
    _touched: list[Pod] = field(default_factory=list)

    @property
    def placement(self) -> str:
        """Where it sits, in words."""
        return words(self.limits, self.pods)

    @property
    def spots(self) -> tuple[str, ...]:
        """An application can be under one such limit only."""
        return tuple(f"limits of {pod.key}" for pod in self.pods)

    def inject(self) -> None:
        """Limit one application after the other."""
        memory = quantity_of(self.limits.memory)
        for pod in self.pods:
            self._touched.append(pod)
            self._sandbox().limit(
                pod.key, quantity_of(self.limits.cpu), None if memory is None else int(memory)
            )

    def recover(self) -> None:
        """Give all of them what they had."""
        while self._touched:
            self._sandbox().limit(self._touched[-1].key, None, None)
            self._touched.pop()

    def hits(self, exchanges: Sequence[Exchange]) -> int:
        """How many exchanges led to one of the pods."""
        return self.crossed(exchanges)

    def _sandbox(self) -> Limiting:
        sandbox = self.ground.sandbox
        if not isinstance(sandbox, Limiting):
            raise Unsupported(NO_LIMITS)
        return sandbox


NO_LIMITS = (
    "this runtime has no containers to limit; use docker, or pause for a process that gets no CPU at all"
)


def words(limits: Limits, pods: Sequence[Pod]) -> str:
    """Where limits sit."""
    wanted = [f"{name} {each}" for name, each in (("cpu", limits.cpu), ("memory", limits.memory)) if each]
    return f"application of {', '.join(pod.key for pod in pods)}: {', '.join(wanted)}"
