"""WebSocket, spoken by wsproto's client."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Message,
    Ping,
    Pong,
    Request,
    TextMessage,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from suites.unit.standin.conftest import StandIn, Start


class Talker:
    """A client with the events it received."""

    def __init__(self, port: int, **request: list[str]) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._websocket = WSConnection(ConnectionType.CLIENT)
        self._events = self._receive()
        subprotocols = request.get("subprotocols", [])
        self.send(Request(host="ws.example", target="/chat?room=1", subprotocols=subprotocols))

    def send(self, event: Event) -> None:
        self._sock.sendall(self._websocket.send(event))

    def next(self) -> Event:
        return next(self._events)

    def message(self) -> Any:
        """The next message, whole."""
        parts = []
        for event in self._events:
            assert isinstance(event, Message)
            parts.append(event.data)
            if event.message_finished:
                break
        return parts[0][:0].join(parts)

    def close(self) -> None:
        self._sock.close()

    def _receive(self) -> Iterator[Event]:
        while data := self._sock.recv(65536):
            self._websocket.receive_data(data)
            yield from self._websocket.events()


@pytest.fixture
def talker(standin: StandIn) -> Iterator[Talker]:
    talker = Talker(standin.port)
    yield talker
    talker.close()


def test_says_who_it_is_then_echoes(talker: Talker) -> None:
    assert isinstance(talker.next(), AcceptConnection)
    told = json.loads(talker.message())
    assert (told["workload"], told["path"], told["host"]) == ("ratings-v1", "/chat?room=1", "ws.example")
    assert told["headers"]["sec-websocket-version"] == ["13"]
    talker.send(TextMessage(data="häuschen"))
    assert talker.message() == "häuschen"
    talker.send(BytesMessage(data=b"\x00" * 200_000))
    assert talker.message() == b"\x00" * 200_000


def test_answers_pings_and_closes(talker: Talker) -> None:
    talker.next()
    talker.message()
    talker.send(Ping(payload=b"x"))
    pong = talker.next()
    assert isinstance(pong, Pong)
    assert pong.payload == b"x"
    talker.send(CloseConnection(code=1000))
    closed = talker.next()
    assert isinstance(closed, CloseConnection)
    assert closed.code == 1000


def test_accepts_the_first_subprotocol_offered(start: Start) -> None:
    talker = Talker(start(ports=[{"port": 0, "protocol": "http"}]).port, subprotocols=["one", "two"])
    accepted = talker.next()
    talker.close()
    assert isinstance(accepted, AcceptConnection)
    assert accepted.subprotocol == "one"


def test_a_handshake_without_key_gets_400(standin: StandIn) -> None:
    with socket.create_connection(("127.0.0.1", standin.port), timeout=10) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 400 ")
