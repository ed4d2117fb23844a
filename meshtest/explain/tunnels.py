"""A connection within an HTTP request: what a DestinationRule's `tunnel` has an Envoy ask a forward proxy for.

Envoy ──CONNECT host:port──► forward proxy ──► host:port
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from meshtest.explain.wire import HttpRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshtest.explain.here import Here
    from meshtest.explain.model import Crossing, Way
    from meshtest.explain.wire import Wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Tunnel:
    """What is asked for."""

    method: str
    to: str
    """`host:port`."""

    def __str__(self) -> str:
        return f"{self.method} {self.to}"

    def around(self, wire: Wire) -> Wire:
        """What the forward proxy gets."""
        asked = HttpRequest(method=self.method, authority=self.to, path="/" if self.method == "POST" else "")
        return replace(wire, layers=(), spoken="http/1.1", request=asked)

    def through(
        self, here: Here, wire: Wire, forwarded: Iterable[tuple[Crossing, list[Way]]]
    ) -> Iterator[tuple[Crossing, list[Way]]]:
        """Ways to the forward proxy, gone on to what the tunnel leads to."""
        for crossing, ways in forwarded:
            found = [further for way in ways for further in self._further(here, wire, way)]
            yield replace(crossing, tunnel=str(self)), found

    def _further(self, here: Here, wire: Wire, way: Way) -> list[Way]:
        if not way.workload:
            return [way]
        return [
            replace(
                found.when("", way.share),
                crossings=(*way.crossings, *found.crossings),
                one_of=way.one_of * found.one_of,
                conditions=(*way.conditions, f"if {way.workload} opens the tunnel", *found.conditions),
            )
            for found in here.further(way.answered_by, self.to, wire)
        ]


def asked_for(proxy: Any) -> Tunnel | None:
    """What a TCP proxy asks its endpoints for; None where it sends them the connection as it is."""
    if not proxy.HasField("tunneling_config"):
        return None
    found = proxy.tunneling_config
    return Tunnel(method="POST" if found.use_post else "CONNECT", to=found.hostname)
