"""HTTP/2, spoken by h2's client."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from typing import TYPE_CHECKING

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, Event, ResponseReceived, StreamEnded, StreamReset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from suites.unit.standin.conftest import StandIn, Start


class Talker:
    """A client; `results` are status and body by stream."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.h2 = H2Connection(H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.status: dict[int, str] = {}
        self.headers: dict[int, dict[str, str]] = {}
        self.bodies: dict[int, bytes] = {}
        self.ended: list[int] = []
        self.reset: list[int] = []
        self.closed = False

    def ask(self, path: str, *, method: str = "GET", body: bytes = b"", **headers: str) -> int:
        stream = self.h2.get_next_available_stream_id()
        pseudo = [(":method", method), (":path", path), (":authority", "ratings:9080"), (":scheme", "http")]
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        self.h2.send_headers(stream, pseudo + named, end_stream=not body)
        if body:
            self.h2.send_data(stream, body, end_stream=True)
        self.flush()
        return stream

    def wait(self, count: int) -> None:
        """Until so many streams have ended, or the server has hung up."""
        while len(self.ended) + len(self.reset) < count and not self.closed:
            data = self._sock.recv(65536)
            self.closed = not data
            for event in self.h2.receive_data(data):
                self._take(event)
            self.flush()

    def flush(self) -> None:
        self._sock.sendall(self.h2.data_to_send())

    def _take(self, event: Event) -> None:
        match event:
            case ResponseReceived(stream_id=int(stream)):
                self.headers[stream] = {str(name): str(value) for name, value in event.headers}
                self.bodies[stream] = b""
            case DataReceived(stream_id=int(stream)):
                self.bodies[stream] += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
            case StreamEnded(stream_id=int(stream)):
                self.ended.append(stream)
            case StreamReset(stream_id=int(stream)):
                self.reset.append(stream)
            case ConnectionTerminated():
                self.closed = True


@contextlib.contextmanager
def _talk(port: int) -> Iterator[Talker]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        yield Talker(sock)


@pytest.mark.parametrize("protocol", ["auto", "http", "h2c"])
def test_answers_with_prior_knowledge(start: Start, protocol: str) -> None:
    with _talk(start(ports=[{"port": 0, "protocol": protocol}]).port) as talker:
        stream = talker.ask("/a?b", method="POST", body=b"hello", x_envoy_attempt_count="2")
        talker.wait(1)
    told = json.loads(talker.bodies[stream])
    assert (told["protocol"], told["path"], told["host"]) == ("HTTP/2", "/a?b", "ratings:9080")
    assert (told["attempt"], told["bodySize"], talker.headers[stream][":status"]) == (2, 5, "200")


def test_many_streams_at_once_end_in_their_own_time(standin: StandIn) -> None:
    with _talk(standin.port) as talker:
        slow = talker.ask("/?delay=1s")
        others = [talker.ask(f"/{number}") for number in range(99)]
        talker.wait(100)
    assert talker.ended[-1] == slow
    assert sorted(talker.ended) == [slow, *others]


def test_a_large_answer_waits_for_the_windows(standin: StandIn) -> None:
    with _talk(standin.port) as talker:
        stream = talker.ask("/" + "a" * 50_000, x_one="b" * 10_000)
        again = talker.ask("/" + "a" * 50_000)
        talker.wait(2)
    assert [len(talker.bodies[each]) > 50_000 for each in (stream, again)] == [True, True]


def test_head_and_control_and_set_header(standin: StandIn) -> None:
    with _talk(standin.port) as talker:
        stream = talker.ask("/status/418", method="HEAD", x_echo_set_header="X-A: 1")
        talker.wait(1)
    assert (talker.headers[stream][":status"], talker.headers[stream]["x-a"]) == ("418", "1")
    assert talker.bodies[stream] == b""


def test_a_failure_without_status_resets_its_stream_only(standin: StandIn) -> None:
    with _talk(standin.port) as talker:
        failed = talker.ask("/?uuid=a&succeedAfter=1")
        other = talker.ask("/?delay=50ms")
        talker.wait(2)
    assert (talker.reset, talker.ended) == ([failed], [other])


def test_streams_that_the_client_gives_up_do_no_harm(standin: StandIn) -> None:
    with _talk(standin.port) as talker:
        for path in ("/", "/?delay=20ms"):
            talker.h2.reset_stream(talker.ask(path), ErrorCodes.CANCEL)
            talker.flush()
        stream = talker.ask("/?delay=50ms")
        while stream not in talker.ended:
            talker.wait(len(talker.ended) + len(talker.reset) + 1)
    assert talker.headers[stream][":status"] == "200"


def test_http1_on_an_h2c_port_is_hung_up_on(start: Start) -> None:
    standin = start(ports=[{"port": 0, "protocol": "h2c"}])
    with socket.create_connection(("127.0.0.1", standin.port), timeout=10) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert b"HTTP/1" not in b"".join(iter(lambda: sock.recv(65536), b""))


def test_is_negotiated_by_alpn(start: Start) -> None:
    standin = start(ports=[{"port": 0, "protocol": "https"}])
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", standin.port), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname="shop.example") as sock,
    ):
        talker = Talker(sock)
        stream = talker.ask("/")
        talker.wait(1)
    told = json.loads(talker.bodies[stream])
    assert (told["sni"], told["alpn"], told["protocol"]) == ("shop.example", "h2", "HTTP/2")
