"""Finding out from the first bytes what a client speaks, and handing the connection on to that protocol."""

# ruff: noqa: D102 - asyncio's callbacks
from __future__ import annotations

import asyncio
import re
from enum import Enum
from typing import TYPE_CHECKING

from meshtest.standin.base import Talk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshtest.standin.service import Service

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

_METHODS = (
    b"GET POST PUT DELETE HEAD OPTIONS PATCH CONNECT TRACE QUERY COPY LOCK MKCOL MOVE PROPFIND PROPPATCH "
    b"SEARCH UNLOCK BIND REBIND UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE NOTIFY SUBSCRIBE UNSUBSCRIBE "
    b"PURGE LINK UNLINK"
).split()
_REQUEST = re.compile(rb"(?:%b) (?:/|\*|https?:)" % b"|".join(_METHODS))
_REQUEST_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+ \S+ HTTP/\d\.\d\r?\n")
_STARTS = tuple(method + b" /" for method in _METHODS)
_PATIENCE = 0.25
"""Seconds that the rest of an ambiguous beginning may take; a TCP client may say "GET" and mean it."""


class Spoken(Enum):
    """What first bytes can turn out to be."""

    HTTP1 = "http/1"
    HTTP2 = "http/2"
    TLS = "tls"
    OTHER = "other"


def recognise(data: bytes) -> Spoken | None:
    """What begins with these bytes; None: they can still become several things."""
    if data[0] == 0x16 and data[1:2] in {b"\x03", b""}:
        return Spoken.TLS if len(data) > 1 else None
    if data.startswith(b"PRI * HTTP/2") or PREFACE.startswith(data):
        return Spoken.HTTP2 if len(data) > 11 else None
    if _REQUEST.match(data) or _REQUEST_LINE.match(data):
        return Spoken.HTTP1
    if any(start.startswith(data) for start in _STARTS):
        return None
    return Spoken.OTHER


class Sniff(Talk):
    """The beginning of a connection.

    Args:
        protocols: what to become; what is missing here becomes what OTHER does.
    """

    def __init__(self, service: Service, protocols: Mapping[Spoken, Callable[[], asyncio.Protocol]]) -> None:
        super().__init__(service)
        self._protocols = protocols
        self._data = b""
        self._timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        self._data += data
        spoken = recognise(self._data)
        if spoken is not None:
            self._decide(spoken)
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_PATIENCE, self._decide, Spoken.OTHER)

    def eof_received(self) -> bool | None:
        # Nothing at all is a probe that looks whether the port is open.
        return self._decide(Spoken.OTHER).eof_received() if self._data else False

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()

    def _decide(self, spoken: Spoken) -> asyncio.Protocol:
        if self._timer is not None:
            self._timer.cancel()
        protocol = self._protocols.get(spoken, self._protocols[Spoken.OTHER])()
        self._become(protocol, self._data)
        return protocol
