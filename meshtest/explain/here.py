"""Where in the mesh something is looked at, and how ways go on from there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshtest.explain.configuration import Configuration
    from meshtest.explain.model import Crossing, Way
    from meshtest.explain.wire import HttpRequest, Wire
    from meshtest.mesh.model import MeshModel, Pod
    from meshtest.traffic.model import Decision


class Onward(Protocol):
    """Follows a connection that an Envoy opens."""

    def __call__(self, pod: Pod, wire: Wire, *, to_application: bool) -> list[Way]:
        """Every way that it can go."""


class Further(Protocol):
    """Follows a connection that an application opens because an Envoy asked it to."""

    def __call__(self, pod: str, to: str, wire: Wire) -> list[Way]:
        """Every way that it can go from a pod to `host:port`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """One Envoy."""

    model: MeshModel
    pod: Pod
    configuration: Configuration
    side: str
    onward: Onward
    further: Further


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """What may have happened so far in an Envoy; several where the configuration leaves it open."""

    crossing: Crossing
    request: HttpRequest | None = None
    metadata: Mapping[str, Any]
    share: float | None = 1.0
    conditions: tuple[str, ...] = ()
    end: Way | None = None
    """How it ended here, by this Envoy's own doing."""

    def when(self, condition: str, share: float | None = None) -> Branch:
        """The same on a condition, met by a share of the requests that may be known."""
        both = None if share is None or self.share is None else self.share * share
        conditions = (*self.conditions, condition) if condition else self.conditions
        return replace(self, share=both, conditions=conditions)

    def saying(self, *decisions: Decision) -> Branch:
        """The same after further words of policies."""
        said = replace(self.crossing, decisions=(*self.crossing.decisions, *decisions))
        return replace(self, crossing=said)

    def ending(self, way: Way, details: str = "") -> Branch:
        """The same, ended."""
        return replace(self, crossing=replace(self.crossing, details=details), end=way)

    def closed(self, ways: Iterable[Way]) -> list[Way]:
        """Ways that go on from here, as the one before this Envoy sees them."""
        return [_under(way.behind(self.crossing), self) for way in ways]

    def ways(self) -> list[Way]:
        """The end, as the one before this Envoy sees it."""
        return [] if self.end is None else self.closed([self.end])


def _under(way: Way, branch: Branch) -> Way:
    both = None if way.share is None or branch.share is None else way.share * branch.share
    return replace(way, share=both, conditions=(*branch.conditions, *way.conditions))
