"""Idle connections by where they lead; one that the server closed meanwhile is passed over silently."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable

    from meshtest.traffic.http1 import Http1Connection
    from meshtest.traffic.http2 import Http2Connection


class Pool:
    """Kept-alive HTTP/1.1 connections, the last one used first, and shared HTTP/2 connections."""

    def __init__(self) -> None:
        self._idle: defaultdict[Hashable, list[Http1Connection]] = defaultdict(list)
        self._shared: dict[Hashable, asyncio.Task[Http2Connection]] = {}

    def take(self, key: Hashable) -> Http1Connection | None:
        """A connection that can carry a request now."""
        idle = self._idle[key]
        while idle:
            connection = idle.pop()
            if connection.usable:
                return connection
        return None

    def give(self, key: Hashable, connection: Http1Connection) -> None:
        """Keep a connection whose exchange has ended, if it can carry another."""
        if connection.usable:
            self._idle[key].append(connection)

    async def shared(
        self, key: Hashable, make: Callable[[], Coroutine[Any, Any, Http2Connection]]
    ) -> Http2Connection:
        """The HTTP/2 connection that leads there, opened once however many ask; raises what `make` raises."""
        opening = self._shared.get(key)
        if opening is None or (opening.done() and not _usable(opening)):
            opening = self._shared[key] = asyncio.create_task(make())
            opening.add_done_callback(_usable)  # looks at the exception, which nobody else may do
        return await asyncio.shield(opening)

    def close(self) -> None:
        """Close all of them."""
        for opening in self._shared.values():
            if _usable(opening):
                opening.result().close()
            opening.cancel()
        self._shared.clear()
        for idle in self._idle.values():
            for connection in idle:
                connection.shut()
        self._idle.clear()


def _usable(opening: asyncio.Task[Http2Connection]) -> bool:
    if not opening.done() or opening.cancelled() or opening.exception() is not None:
        return False
    return opening.result().usable
