"""Idle connections by where they lead; one that the server closed meanwhile is passed over silently."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    from meshtest.traffic.http1 import Http1Connection


class Pool:
    """Kept-alive HTTP/1.1 connections; the last one used is the next one used."""

    def __init__(self) -> None:
        self._idle: defaultdict[Hashable, list[Http1Connection]] = defaultdict(list)

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

    def close(self) -> None:
        """Close all of them."""
        for idle in self._idle.values():
            for connection in idle:
                connection.shut()
        self._idle.clear()
