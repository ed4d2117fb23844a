"""A WebSocket conversation: handshake, `Request.messages` messages, and what comes back for each."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, cast

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Message,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from meshtest.traffic import tls
from meshtest.traffic.headers import encoded
from meshtest.traffic.model import Outcome
from meshtest.traffic.reply import Failed, Reply, cause
from meshtest.traffic.speak_tcp import TcpConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from meshtest.traffic.call import Call
    from meshtest.traffic.reply import Headers

_GOODBYE = 0.5
"""Seconds for the server's closing frame: a proxy may hold back for long that there is nobody to send one."""
_OWN = frozenset({"host", "upgrade", "connection", "sec-websocket-version", "sec-websocket-key"})


async def speak_websocket(call: Call) -> Reply:
    """Send the messages and collect the answers; a refused upgrade is an ordinary response."""
    connection = await call.connect(TcpConnection)
    _, call.trail.certificate = tls.negotiated(connection.tls)
    call.trail.protocol = "HTTP/1.1"
    conversation = _Conversation(call, connection)
    try:
        return await conversation.run()
    except (LocalProtocolError, RemoteProtocolError) as exc:
        raise Failed(Outcome.RESET, f"not WebSocket: {exc}") from exc
    finally:
        cast("asyncio.Transport", connection.transport).close()


class _Conversation:
    def __init__(self, call: Call, connection: TcpConnection) -> None:
        self._call = call
        self._connection = connection
        self._websocket = WSConnection(ConnectionType.CLIENT)
        self._status: int | None = None
        self._headers: Headers = ()
        self._body: list[bytes] = []
        self._messages: list[bytes] = []
        self._partial: list[bytes] = []
        self._over = False

    async def run(self) -> Reply:
        """From the upgrade to the closing handshake."""
        self._send(self._upgrade())
        await self._until(lambda: self._status is not None)
        if self._status != 101:
            await self._until(lambda: self._over)
            return self._reply(b"".join(self._body))
        wanted = max(1, self._call.request.messages)
        for _ in range(wanted):
            self._send(self._message())
        # A stand-in introduces itself first; whatever else was on its way comes before its closing frame.
        await self._until(lambda: self._over or len(self._messages) >= wanted)
        if not self._over:
            await self._close()
        return self._reply(self._messages[0] if self._messages else b"")

    async def _close(self) -> None:
        """Say goodbye; a server that has answered and just hangs up has answered nevertheless."""
        self._send(CloseConnection(code=1000))
        with contextlib.suppress(TimeoutError, Failed):
            async with asyncio.timeout(_GOODBYE):
                await self._until(lambda: self._over)

    def _upgrade(self) -> Request:
        call = self._call
        host = next((value for name, value in call.request.headers if name.lower() == "host"), None)
        headers = [
            (encoded(name), encoded(value)) for name, value in call.headers() if name.lower() not in _OWN
        ]
        return Request(
            host=host or call.target.authority,
            target=call.target.path.decode("utf-8", "surrogateescape"),
            extra_headers=headers,
        )

    def _message(self) -> Message[Any]:
        body = self._call.request.body or self._call.exchange.encode()
        try:
            return TextMessage(data=body.decode())
        except UnicodeDecodeError:
            return BytesMessage(data=body)

    def _send(self, event: Event) -> None:
        cast("asyncio.Transport", self._connection.transport).write(self._websocket.send(event))

    async def _until(self, done: Callable[[], bool]) -> None:
        while True:
            self._read()
            if done():
                return
            if self._connection.lost:
                raise self._broken()
            await self._connection.news()

    def _read(self) -> None:
        received = self._connection.received
        if received:
            data = bytes(received)
            received.clear()
            self._websocket.receive_data(data)
            for event in self._websocket.events():
                self._take(event)

    def _take(self, event: Event) -> None:
        if isinstance(event, AcceptConnection):
            self._status, self._headers = 101, _pairs(event.extra_headers)
        elif isinstance(event, RejectConnection):
            self._status, self._headers = event.status_code, _pairs(event.headers)
            self._over = not event.has_body
        elif isinstance(event, RejectData):
            self._body.append(bytes(event.data))
            self._over = event.body_finished
        elif isinstance(event, Message):
            data = event.data
            self._partial.append(data.encode() if isinstance(data, str) else bytes(data))
            if event.message_finished:
                self._messages.append(b"".join(self._partial))
                self._partial = []
        elif isinstance(event, Ping):
            self._send(event.response())
        elif isinstance(event, CloseConnection):
            self._over = True

    def _reply(self, body: bytes) -> Reply:
        trail = self._call.trail
        return Reply(
            Outcome.RESPONSE,
            self._status,
            self._headers,
            body,
            "WebSocket" if self._status == 101 else "HTTP/1.1",
            local=trail.local,
            remote=trail.remote,
            messages=tuple(self._messages),
            certificate=trail.certificate,
        )

    def _broken(self) -> Failed:
        connection = self._connection
        if self._status is None and connection.tls is not None:
            return tls.broken(connection.error, connection.tls)
        return Failed(Outcome.RESET, cause(connection.error), body=b"".join(self._messages))


def _pairs(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    return tuple((bytes(name), bytes(value)) for name, value in headers)
