"""The resources of one update as proxies get them; what several of them get alike is made once.

Clusters, endpoints and routes of a hundred sidecars are mostly the same bytes. Listeners are a pod's own: its name is
in their access logs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshtest.envoy.endpoints import swapped
from meshtest.envoy.resources import Resource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshtest.envoy.ads import Proxy


class Batch:
    """One payload of the engine's."""

    def __init__(self, payload: bytes, decorated: Callable[[str, bytes, Proxy], bytes]) -> None:
        self._payload = payload
        self._decorated = decorated
        self._raw: dict[tuple[int, int], bytes] = {}
        self._made: dict[tuple[Any, ...], Resource] = {}

    def raw(self, offset: int, size: int) -> bytes:
        """What the engine says at a place."""
        place = (offset, size)
        found = self._raw.get(place)
        if found is None:
            found = self._raw[place] = self._payload[offset : offset + size]
        return found

    def resource(self, kind: str, raw: bytes, proxy: Proxy, swap: Mapping[str, str]) -> Resource:
        """A resource as a proxy gets it, whose endpoints are elsewhere (`swap`)."""
        if kind == "LDS" or proxy.poisoned or (kind == "EDS" and swap):
            value = self._decorated(kind, raw, proxy)
            return Resource.of(raw, swapped(value, swap) if kind == "EDS" else value)
        key = (kind, raw, *proxy.context.beside_the_pod)
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = Resource.of(raw, self._decorated(kind, raw, proxy))
        return found
