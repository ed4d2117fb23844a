from __future__ import annotations

from concurrent import futures
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded

from meshtest.traffic.client import Traffic
from meshtest.traffic.model import Outcome, Protocol, Request

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from meshtest.traffic.client import TrafficDriver

    Serve = Callable[..., int]

CALLER = "default/caller"


class Http2Server:
    """Answers every stream with its body; `/reset` and `/goaway` are refused."""

    def __init__(self) -> None:
        self.requests: list[dict[bytes, bytes]] = []
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        h2 = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        h2.initiate_connection()
        writer.write(h2.data_to_send())
        bodies: dict[int, bytes] = {}
        paths: dict[int, bytes] = {}
        while data := await reader.read(65536):
            for event in h2.receive_data(data):
                if isinstance(event, RequestReceived):
                    self.requests.append(dict(event.headers))
                    paths[event.stream_id] = dict(event.headers)[b":path"]
                    bodies[event.stream_id] = b""
                elif isinstance(event, DataReceived):
                    bodies[event.stream_id] += event.data
                    h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, StreamEnded):
                    self._answer(h2, event.stream_id, paths[event.stream_id], bodies[event.stream_id])
            writer.write(h2.data_to_send())

    def _answer(self, h2: H2Connection, stream: int, path: bytes, body: bytes) -> None:
        if path == b"/reset":
            h2.reset_stream(stream, 7)
        elif path == b"/goaway":
            h2.close_connection(error_code=0, last_stream_id=0)
        else:
            h2.send_headers(stream, [(b":status", b"200"), (b"x-length", b"%d" % len(body))])
            h2.send_headers(stream, [(b"x-trailer", b"t")], end_stream=True)


def url(port: int, path: str = "/") -> str:
    return f"http://127.0.0.1:{port}{path}"


def test_h2c_sends_path_authority_and_body_as_given(driver: TrafficDriver, serve: Serve) -> None:
    server = Http2Server()
    request = Request(
        url=url(serve(server), "/a//%2e?b"),
        protocol=Protocol.H2C,
        host="reviews.example",
        method="PUT",
        body=b"x" * 200_000,
        headers=(("X-Mine", "1"),),
    )
    one = driver.request(CALLER, request)
    assert (one.outcome, one.status, one.protocol) == (Outcome.RESPONSE, 200, "HTTP/2")
    assert ("x-length", "200000") in one.headers
    assert one.trailers == (("x-trailer", "t"),)
    seen = server.requests[0]
    assert (seen[b":path"], seen[b":authority"], seen[b"x-mine"]) == (b"/a//%2e?b", b"reviews.example", b"1")
    assert seen[b"baggage"] == b"meshtest=mt-0a1b-0"


@pytest.mark.parametrize(
    ("path", "text"),
    [("/reset", "stream reset: REFUSED_STREAM"), ("/goaway", "GOAWAY: NO_ERROR")],
    ids=["reset", "goaway"],
)
def test_a_refused_stream_is_a_reset(driver: TrafficDriver, serve: Serve, path: str, text: str) -> None:
    one = driver.request(CALLER, Request(url=url(serve(Http2Server()), path), protocol=Protocol.H2C))
    assert (one.outcome, one.error) == (Outcome.RESET, text)


def test_streams_under_way_end_after_a_graceful_goaway(driver: TrafficDriver, serve: Serve) -> None:
    async def drains(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        h2 = H2Connection(H2Configuration(client_side=False))
        h2.initiate_connection()
        while data := await reader.read(65536):
            for event in h2.receive_data(data):
                if isinstance(event, StreamEnded):
                    writer.write(h2.data_to_send())
                    writer.write(b"\0\0\x08\x07\0\0\0\0\0\x7f\xff\xff\xff\0\0\0\0")
                    h2.send_headers(event.stream_id, [(":status", "200")], end_stream=True)
            writer.write(h2.data_to_send())

    request = Request(url=url(serve(drains)), protocol=Protocol.H2C, reuse=True)
    ended = driver.send(Traffic(caller=CALLER, requests=[request], count=3))
    assert [one.status for one in ended] == [200, 200, 200]
    assert len({one.local_address for one in ended}) == 3


def test_http1_instead_of_http2_is_a_reset(driver: TrafficDriver, serve: Serve) -> None:
    async def old(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    one = driver.request(CALLER, Request(url=url(serve(old)), protocol=Protocol.H2C))
    assert one.outcome is Outcome.RESET
    assert "not HTTP/2" in one.error


def test_a_load_shares_one_connection(driver: TrafficDriver, serve: Serve) -> None:
    server = Http2Server()
    request = Request(url=url(serve(server)), protocol=Protocol.H2C, reuse=True)
    ended = driver.send(Traffic(caller=CALLER, requests=[request], count=50, concurrency=10))
    assert {one.status for one in ended} == {200}
    assert server.connections == 1
    assert len({seen[b"x-request-id"] for seen in server.requests}) == 50


class _Echo(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs only
    def service(self, details: grpc.HandlerCallDetails) -> Any:
        if details.method == "/test.Echo/Stream":
            return grpc.stream_stream_rpc_method_handler(
                lambda messages, _: (b"re:" + each for each in messages)
            )
        if details.method == "/test.Echo/Fail":
            return grpc.unary_unary_rpc_method_handler(
                lambda _, context: context.abort(grpc.StatusCode.PERMISSION_DENIED, "not you")
            )
        if details.method == "/test.Echo/Unary":
            return grpc.unary_unary_rpc_method_handler(lambda message, _: b"re:" + message)
        return None


@pytest.fixture(scope="module")
def grpc_port() -> Iterator[int]:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((_Echo(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None).wait()


def call(port: int, method: str, **fields: Any) -> Request:
    return Request(url=f"grpc://127.0.0.1:{port}/test.Echo/{method}", protocol=Protocol.GRPC, **fields)


def test_a_unary_call_has_its_message_and_status(driver: TrafficDriver, grpc_port: int) -> None:
    one = driver.request(CALLER, call(grpc_port, "Unary", body=b"\x0a\x01x"))
    assert (one.outcome, one.status, one.grpc_status, one.body) == (Outcome.RESPONSE, 200, 0, b"re:\x0a\x01x")


def test_an_answer_may_be_larger_than_the_window_that_http2_starts_with(
    driver: TrafficDriver, grpc_port: int
) -> None:
    text = b"x" * 300_000
    one = driver.request(CALLER, call(grpc_port, "Unary", body=text, timeout=5.0))
    assert (one.outcome, one.grpc_status, len(one.body) >= len(text)) == (Outcome.RESPONSE, 0, True)


def test_a_stream_has_all_its_messages(driver: TrafficDriver, grpc_port: int) -> None:
    one = driver.request(CALLER, call(grpc_port, "Stream", body=b"m", messages=3))
    assert (one.grpc_status, one.messages) == (0, (b"re:m",) * 3)


@pytest.mark.parametrize(
    ("method", "status", "text"), [("Fail", 7, "not you"), ("Absent", 12, "Method not found!")]
)
def test_a_failed_call_is_a_response_with_its_status(
    driver: TrafficDriver, grpc_port: int, method: str, status: int, text: str
) -> None:
    one = driver.request(CALLER, call(grpc_port, method))
    assert (one.outcome, one.grpc_status, one.error) == (Outcome.RESPONSE, status, text)


def test_an_http_error_means_what_grpc_clients_take_it_for(driver: TrafficDriver, serve: Serve) -> None:
    async def forbids(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        h2 = H2Connection(H2Configuration(client_side=False))
        h2.initiate_connection()
        while data := await reader.read(65536):
            for event in h2.receive_data(data):
                if isinstance(event, StreamEnded):
                    h2.send_headers(event.stream_id, [(":status", "403")], end_stream=True)
            writer.write(h2.data_to_send())

    one = driver.request(CALLER, call(serve(forbids), "Unary"))
    assert (one.status, one.grpc_status) == (403, 7)
