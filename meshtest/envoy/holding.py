"""Pushes that faults keep back: from some proxies, of some kinds, for a while or until the fault is over.

    engine ── update ──► Holds ──► what passes goes to the Envoys
                           └─────► what is kept is taken in later, in its order, as if it had come then

What is kept is not known to the proxy's state either: an Envoy that connects anew gets the old configuration.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from meshtest.envoy.ads import Proxy

Told = dict[str, dict[str, Any]]
"""Proxy -> `set` and `removed`, as the engine says it."""


@dataclass(slots=True, kw_only=True)
class Hold:
    """One fault's rule."""

    nodes: frozenset[str]
    """Empty: every proxy."""
    kinds: frozenset[str] = frozenset()
    """Empty: every kind. Of a kind that is named, only what the proxy knows already is kept."""
    delay: float | None = None
    """Seconds until what is kept is let through; None: when the fault is over."""
    kept: list[tuple[Told, bytes]] = field(default_factory=list)
    late: set[asyncio.Task[None]] = field(default_factory=set)
    hits: int = 0
    """Pushes kept, each to one proxy."""

    def holds(self, node: str) -> bool:
        """Whether it is about a proxy."""
        return not self.nodes or node in self.nodes

    def part(self, change: Mapping[str, Any], proxy: Proxy) -> tuple[dict[str, Any], dict[str, Any]]:
        """What is kept of a change, and what passes."""
        if not self.kinds:
            return dict(change), {}
        kept: dict[str, Any] = {}
        passed: dict[str, Any] = {}
        for verb in ("set", "removed"):
            for entry in change.get(verb, ()):
                known = entry[1] in proxy.resources.get(entry[0], {})
                where = kept if entry[0] in self.kinds and known else passed
                where.setdefault(verb, []).append(entry)
        return kept, passed


class Holds:
    """Every rule in force, by the fault it comes from."""

    def __init__(self) -> None:
        self.by_id: dict[str, Hold] = {}

    def sift(self, told: Told, payload: bytes, proxies: Mapping[str, Proxy], past: Hold | None) -> Told:
        """What passes of an update; the rest is kept. `past` is the rule that has just let it through."""
        for hold in [each for each in self.by_id.values() if each is not past]:
            kept: Told = {}
            passing: Told = {}
            for node, change in told.items():
                if node not in proxies or not hold.holds(node):
                    passing[node] = change
                    continue
                held, passed = hold.part(change, proxies[node])
                if held:
                    kept[node] = held
                if passed:
                    passing[node] = passed
            if kept:
                hold.hits += len(kept)
                hold.kept.append((kept, payload))
            told = passing
        return told
