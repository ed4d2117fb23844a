"""A single HTTPS request in whichever version the server chose by ALPN."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from meshtest.traffic import speak_http1, speak_http2, tls
from meshtest.traffic.connect import tls_object
from meshtest.traffic.http1 import Http1Connection
from meshtest.traffic.http2 import Http2Connection

if TYPE_CHECKING:
    from meshtest.traffic.call import Call
    from meshtest.traffic.reply import Reply


class _Undecided(asyncio.Protocol):
    """Stands in until the handshake has settled the version; the server may speak before we look."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.early: list[bytes] = []
        self.lost: list[Exception | None] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.early.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.append(exc)

    def become(self, protocol: asyncio.Protocol) -> None:
        """Hand everything over."""
        transport = cast("asyncio.Transport", self.transport)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        for data in self.early:
            protocol.data_received(data)
        for exc in self.lost:
            protocol.connection_lost(exc)


async def speak_negotiated(call: Call) -> Reply:
    """HTTP/2 where the user offers it and the server takes it, else HTTP/1.1."""
    offered = call.request.tls.alpn if call.request.tls is not None else None
    if "h2" not in (offered or ()):
        return await speak_http1.speak_http1(call)
    undecided = await call.connect(_Undecided)
    alpn, _ = tls.negotiated(tls_object(undecided.transport))
    if alpn == "h2":
        second = Http2Connection()
        second.remote = call.trail.remote
        undecided.become(second)
        try:
            return await speak_http2.exchange(call, second)
        finally:
            second.close()
    first = Http1Connection(call.trail.remote)
    undecided.become(first)
    try:
        return await speak_http1.exchange(call, first)
    finally:
        first.shut()
