"""Plain TCP, and the same inside the caller's own TLS.

─► payload            ◄─ one line of JSON and the payload again (stand-in), or whatever else comes
server first:  ◄─ greeting line   ─► payload   ◄─ the payload again
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from meshtest.traffic import tls
from meshtest.traffic.connect import name_of, tls_object
from meshtest.traffic.model import Outcome
from meshtest.traffic.reply import Failed, Reply, cause

if TYPE_CHECKING:
    import ssl

    from meshtest.traffic.call import Call

_IDLE = 0.05
"""Seconds of silence after which a reply of unknown shape is taken to be whole."""


class TcpConnection(asyncio.Protocol):
    """Collects what comes in and tells whoever waits."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.lost = False
        self.error: BaseException | None = None
        self.tls: ssl.SSLObject | None = None
        self.transport: asyncio.Transport | None = None
        self._changed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)
        self.tls = tls_object(transport)

    def data_received(self, data: bytes) -> None:
        """Keep what came."""
        self.received += data
        self._changed.set()

    def eof_received(self) -> None:
        """Note the end; the transport then closes itself."""
        self.lost = True
        self._changed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end, and why."""
        self.lost = True
        self.error = self.error or exc
        self._changed.set()

    async def news(self) -> None:
        """Wait until something comes or the connection ends."""
        self._changed.clear()
        await self._changed.wait()


async def speak_tcp(call: Call) -> Reply:
    """Send the payload and read the reply; without a payload of the user's it is the exchange's id."""
    connection = await call.connect(TcpConnection)
    transport = cast("asyncio.Transport", connection.transport)
    call.trail.local = name_of(transport.get_extra_info("sockname"))
    call.trail.protocol = "TCP" if connection.tls is None else f"TCP over {connection.tls.version()}"
    _, call.trail.certificate = tls.negotiated(connection.tls)
    payload = call.request.body or f"meshtest {call.exchange}\n".encode()
    try:
        greeting = await _greeting(connection) if call.request.server_first else 0
        transport.write(payload)
        if call.request.half_close and transport.can_write_eof():
            transport.write_eof()
        await _reply(connection, greeting, payload, to_end=call.request.half_close)
    except Failed as exc:
        raise Failed(exc.outcome, exc.error, body=bytes(connection.received)) from exc
    finally:
        transport.close()
    return call.trail.reply(Outcome.RESPONSE, body=bytes(connection.received))


async def _greeting(connection: TcpConnection) -> int:
    """The length of the server's first line."""
    while b"\n" not in connection.received:
        if connection.lost:
            raise _broken(connection)
        await connection.news()
    return connection.received.index(b"\n") + 1


async def _reply(connection: TcpConnection, start: int, payload: bytes, *, to_end: bool) -> None:
    while True:
        received = bytes(connection.received[start:])
        if is_whole(received, payload) and not to_end:
            return
        if connection.lost:
            if (
                connection.error is None
                and received
                and (is_whole(received, payload) or received[:1] != b"{")
            ):
                return
            raise _broken(connection)
        try:
            async with asyncio.timeout(_IDLE if received and received[:1] != b"{" and not to_end else None):
                await connection.news()
        except TimeoutError:
            return


def is_whole(received: bytes, payload: bytes) -> bool:
    """Whether this is the stand-in's line and the echo, or an echo alone."""
    if received.startswith(b"{"):
        line = received.find(b"\n") + 1
        return bool(line) and len(received) >= line + len(payload)
    return received.endswith(payload)


def _broken(connection: TcpConnection) -> Failed:
    if connection.received:
        return Failed(Outcome.RESET, f"{cause(connection.error)} after {len(connection.received)} bytes")
    if connection.tls is not None:
        return tls.broken(connection.error, connection.tls)
    return Failed(Outcome.RESET, cause(connection.error))
