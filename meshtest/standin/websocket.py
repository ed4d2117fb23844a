"""WebSocket: the description of the handshake as a first text message, then every message back as it came."""

# ruff: noqa: D102 - asyncio's callbacks
from __future__ import annotations

from typing import TYPE_CHECKING

from wsproto import ConnectionType, WSConnection, events
from wsproto.connection import ConnectionState
from wsproto.utilities import ProtocolError

from meshtest.standin.base import Talk
from meshtest.standin.facts import Decision, Received

if TYPE_CHECKING:
    import asyncio

    from wsproto.events import Event

    from meshtest.standin.service import Service

_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class WebSocket(Talk):
    """One connection, from the end of its handshake request on."""

    def __init__(self, service: Service, received: Received) -> None:
        super().__init__(service)
        self._received = received
        self._websocket = WSConnection(ConnectionType.SERVER)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        received = self._received
        headers = [
            (name.encode(), value.encode("latin-1"))
            for name, values in received.headers.items()
            for value in values
        ]
        self._service.count(received.path.partition("?")[0])
        try:
            self._websocket.initiate_upgrade_connection(headers, received.path.encode("latin-1"))
            offered = next(each for each in self._websocket.events() if isinstance(each, events.Request))
        except (ProtocolError, StopIteration):
            self._transport.write(_BAD_REQUEST)
            self._transport.close()
            return
        self._send(events.AcceptConnection(subprotocol=next(iter(offered.subprotocols), None)))
        self._send(events.TextMessage(data=self._service.describe(received, Decision()).decode()))

    def data_received(self, data: bytes) -> None:
        try:
            self._websocket.receive_data(data)
            for event in self._websocket.events():
                self._answer(event)
        except ProtocolError:
            self._transport.close()

    def _answer(self, event: Event) -> None:
        if isinstance(event, events.TextMessage):
            self._send(events.TextMessage(data=event.data, message_finished=event.message_finished))
        elif isinstance(event, events.BytesMessage):
            self._send(events.BytesMessage(data=bytes(event.data), message_finished=event.message_finished))
        elif isinstance(event, events.Ping):
            self._send(event.response())
        elif isinstance(event, events.CloseConnection):
            if self._websocket.state is ConnectionState.REMOTE_CLOSING:
                self._send(event.response())
            self._transport.close()

    def _send(self, event: Event) -> None:
        self._transport.write(self._websocket.send(event))
