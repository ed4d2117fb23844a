from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, RejectConnection, TextMessage
from wsproto.events import Request as Upgrade

from meshtest.traffic.model import Outcome, Protocol, Request
from meshtest.traffic.speak_tcp import is_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.traffic.client import TrafficDriver

    Serve = Callable[..., int]

CALLER = "default/caller"
LINE = json.dumps({"workload": "b", "namespace": "default", "pod": "b-1", "protocol": "TCP"}).encode() + b"\n"


async def stand_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    first = await reader.read(65536)
    writer.write(LINE)
    await asyncio.sleep(0.01)
    while first:
        writer.write(first)
        first = await reader.read(65536)
    writer.close()


async def greets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"meshtest workload=b pod=b-1 namespace=default\n")
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


async def answers_otherwise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(65536)
    writer.write(b"+PONG\r\n")
    await reader.read()


async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.close()


def tcp(port: int, **fields: object) -> Request:
    return Request(url=f"tcp://127.0.0.1:{port}", protocol=Protocol.TCP, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("half_close", [False, True])
def test_the_stand_ins_line_and_the_echo_are_the_response(
    driver: TrafficDriver,
    serve: Serve,
    half_close: bool,  # noqa: FBT001
) -> None:
    one = driver.request(CALLER, tcp(serve(stand_in), body=b"hello", half_close=half_close))
    assert (one.outcome, one.body, one.status) == (Outcome.RESPONSE, LINE + b"hello", None)
    assert one.backend is not None
    assert one.backend.workload == "b"


def test_a_server_that_speaks_first_is_listened_to(driver: TrafficDriver, serve: Serve) -> None:
    one = driver.request(CALLER, tcp(serve(greets), server_first=True, body=b"q"))
    assert one.body == b"meshtest workload=b pod=b-1 namespace=default\nq"
    assert one.backend is not None
    assert (one.backend.workload, one.backend.pod) == ("b", "b-1")


def test_a_reply_of_unknown_shape_ends_when_it_falls_silent(driver: TrafficDriver, serve: Serve) -> None:
    one = driver.request(CALLER, tcp(serve(answers_otherwise), body=b"PING\r\n"))
    assert (one.outcome, one.body) == (Outcome.RESPONSE, b"+PONG\r\n")
    assert one.latency < 5


def test_a_close_without_a_byte_is_a_reset(driver: TrafficDriver, serve: Serve) -> None:
    assert driver.request(CALLER, tcp(serve(hangs_up))).outcome is Outcome.RESET


@pytest.mark.parametrize(
    ("received", "whole"),
    [
        (b"", False),
        (b"{}", False),
        (b"{}\n", False),
        (b"{}\nab", True),
        (b"ab", True),
        (b"Hostname=x\nab", True),
        (b"a", False),
    ],
)
def test_when_a_reply_is_whole(received: bytes, whole: bool) -> None:  # noqa: FBT001
    assert is_whole(received, b"ab") is whole


async def websocket(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    server = WSConnection(ConnectionType.SERVER)
    while data := await reader.read(65536):
        server.receive_data(data)
        for event in server.events():
            if isinstance(event, Upgrade) and event.target == "/closed":
                writer.write(server.send(RejectConnection(status_code=403)))
            elif isinstance(event, Upgrade):
                writer.write(server.send(AcceptConnection()))
                writer.write(server.send(TextMessage(data=LINE.decode())))
            elif isinstance(event, TextMessage):
                writer.write(server.send(TextMessage(data=event.data)))
            elif isinstance(event, CloseConnection):
                writer.write(server.send(event.response()))
                writer.close()


def test_websocket_messages_come_back(driver: TrafficDriver, serve: Serve) -> None:
    request = Request(
        url=f"ws://127.0.0.1:{serve(websocket)}/chat", protocol=Protocol.WEBSOCKET, body=b"hi", messages=2
    )
    one = driver.request(CALLER, request)
    assert (one.outcome, one.status, one.protocol) == (Outcome.RESPONSE, 101, "WebSocket")
    assert one.messages == (LINE, b"hi", b"hi")
    assert one.backend is not None


async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers and hangs up without a closing frame, as Istio's echo server does."""
    server = WSConnection(ConnectionType.SERVER)
    while data := await reader.read(65536):
        server.receive_data(data)
        for event in server.events():
            if isinstance(event, Upgrade):
                writer.write(server.send(AcceptConnection()))
            elif isinstance(event, TextMessage):
                writer.write(server.send(TextMessage(data=event.data)))
                writer.close()


def test_a_websocket_server_that_hangs_up_has_answered(driver: TrafficDriver, serve: Serve) -> None:
    one = driver.request(
        CALLER, Request(url=f"ws://127.0.0.1:{serve(rude)}/", protocol=Protocol.WEBSOCKET, body=b"hi")
    )
    assert (one.outcome, one.status, one.messages) == (Outcome.RESPONSE, 101, (b"hi",))


def test_a_refused_upgrade_is_a_response(driver: TrafficDriver, serve: Serve) -> None:
    request = Request(url=f"ws://127.0.0.1:{serve(websocket)}/closed", protocol=Protocol.WEBSOCKET)
    one = driver.request(CALLER, request)
    assert (one.outcome, one.status) == (Outcome.RESPONSE, 403)


def test_dialling_says_what_was_wrong(driver: TrafficDriver, serve: Serve) -> None:
    port = serve(greets)
    assert driver.dial(CALLER, "127.0.0.1", port) == ""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # nobody listens there
        assert driver.dial(CALLER, "127.0.0.1", bound.getsockname()[1]) == "Connection refused"
