"""HTTP/1.x as clients see it: http.client, and bytes on a socket where it is about bytes."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from suites.unit.standin.conftest import StandIn, Start


@contextlib.contextmanager
def _socket(standin: StandIn) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", standin.port), timeout=10) as sock:
        yield sock


def _talk(standin: StandIn, sent: bytes) -> bytes:
    """Everything that is answered until the server, or the half-closed connection, ends."""
    with _socket(standin) as sock:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: sock.recv(65536), b""))


def test_says_who_it_is_and_what_it_received(standin: StandIn) -> None:
    told = standin.ask("/ratings/0?x=%20", X_Mixed="One").told
    assert (told["workload"], told["namespace"], told["pod"]) == ("ratings-v1", "default", "ratings-v1-0")
    assert (told["method"], told["path"], told["protocol"]) == ("GET", "/ratings/0?x=%20", "HTTP/1.1")
    assert told["host"] == f"127.0.0.1:{standin.port}"
    assert told["headers"]["x-mixed"] == ["One"]
    assert (told["attempt"], told["peerIdentity"], told["port"]) == (1, "", standin.port)
    assert "body" not in told


def test_tells_those_inside_what_it_received_until_it_shall_forget(standin: StandIn) -> None:
    standin.ask("/a?b=c", method="POST", body=b"x" * 9000, X_Mixed="One")
    standin.ask("/d")
    first, second = json.loads(standin.ask("/_meshtest/received").body)
    assert (first["method"], first["path"], first["headers"]["x-mixed"]) == ("POST", "/a?b=c", ["One"])
    assert first["body"] == "x" * 4096
    assert second["path"] == "/d"
    standin.ask("/_meshtest/reset", method="POST")
    assert json.loads(standin.ask("/_meshtest/received").body) == []


def test_repeated_headers_keep_their_order(standin: StandIn) -> None:
    answer = _talk(standin, b"GET / HTTP/1.1\r\nhost: a\r\nX-A: 1\r\nx-a: 2\r\n\r\n")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["headers"]["x-a"] == ["1", "2"]


def test_reports_the_attempt_and_the_identity_that_its_sidecar_appended(standin: StandIn) -> None:
    xfcc = 'URI=spiffe://first,By=spiffe://me;Subject="O=a\\",b;URI=no";URI=spiffe://cluster.local/ns/n/sa/s'
    told = standin.ask("/", x_envoy_attempt_count="3", x_forwarded_client_cert=xfcc).told
    assert (told["attempt"], told["peerIdentity"]) == (3, "spiffe://cluster.local/ns/n/sa/s")


@pytest.mark.parametrize("count", ["0x1", "", "9" * 5000])
def test_an_attempt_count_that_is_none_is_the_first(standin: StandIn, count: str) -> None:
    assert standin.ask("/", x_envoy_attempt_count=count).told["attempt"] == 1


def test_a_connection_carries_many_requests(standin: StandIn) -> None:
    with contextlib.closing(HTTPConnection("127.0.0.1", standin.port, timeout=10)) as connection:
        peers = set()
        for number in range(5):
            connection.request("POST", f"/{number}", body=b"x" * number)
            told = json.loads(connection.getresponse().read())
            assert (told["path"], told.get("bodySize", 0)) == (f"/{number}", number)
            peers.add(told["peer"])
    assert len(peers) == 1


def test_echoes_a_chunked_body(standin: StandIn) -> None:
    told = standin.ask("/", method="POST", body=b"h\x00llo", transfer_encoding="chunked").told
    with contextlib.closing(HTTPConnection("127.0.0.1", standin.port, timeout=10)) as connection:
        connection.request("POST", "/", body=iter([b"he", b"llo"]), encode_chunked=True)
        told = json.loads(connection.getresponse().read())
    assert (base64.b64decode(told["body"]), told["bodySize"]) == (b"hello", 5)


def test_counts_a_long_body_and_keeps_its_beginning(standin: StandIn) -> None:
    told = standin.ask("/", method="PUT", body=b"x" * 3_000_000).told
    assert (told["bodySize"], len(base64.b64decode(told["body"]))) == (3_000_000, 1 << 20)


def test_pipelined_requests_are_answered_in_order(standin: StandIn) -> None:
    answers = _talk(
        standin,
        b"GET /1?delay=50ms HTTP/1.1\r\nhost: a\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\n\r\n"
        b"GET /3?delay=10ms HTTP/1.1\r\nhost: a\r\n\r\nGET /4 HTTP/1.1\r\nhost: a\r\n\r\n",
    )
    assert [answers.find(b'"path":"/%d' % number) > 0 for number in (1, 2, 3, 4)] == [True] * 4
    places = [answers.find(b'"path":"/%d' % number) for number in (1, 2, 3, 4)]
    assert places == sorted(places)


def test_a_thousand_pipelined_requests_behind_a_slow_one(standin: StandIn) -> None:
    slow = b"GET /?delay=50ms HTTP/1.1\r\nhost: a\r\n\r\n"
    answers = _talk(standin, slow + b"GET / HTTP/1.1\r\nhost: a\r\n\r\n" * 1000)
    assert answers.count(b"HTTP/1.1 200 OK") == 1001


def test_head_has_the_length_and_no_body(standin: StandIn) -> None:
    answer = standin.ask("/", method="HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.response.getheader("content-length") or 0) > 100


def test_http10_closes_unless_asked_not_to(standin: StandIn) -> None:
    assert b"connection: close" in _talk(standin, b"GET / HTTP/1.0\r\n\r\n")
    kept = _talk(standin, b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n" * 2)
    assert kept.count(b"connection: keep-alive") == 2
    assert b'"protocol":"HTTP/1.0"' in kept


def test_connection_close_is_honoured(standin: StandIn) -> None:
    asked = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    assert _talk(standin, asked * 2).count(b"connection: close\r\n") == 1


def test_expect_100_continue_is_answered_before_the_body(standin: StandIn) -> None:
    with _socket(standin) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n")
        assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"ok")
        assert b'"bodySize":2' in sock.recv(65536)


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"FROB / HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET / HTTP/3.7\r\nhost: a\r\n\r\n",
    ],
    ids=["header", "length", "chunk", "method", "version"],
)
def test_a_malformed_request_gets_400_and_the_next_client_an_answer(standin: StandIn, garbage: bytes) -> None:
    assert _talk(standin, garbage).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert standin.ask("/").status == 200


def test_an_http_port_answers_garbage_with_400(start: Start) -> None:
    standin = start(ports=[{"port": 0, "protocol": "http"}])
    assert _talk(standin, b"\x00\x01\x02 nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_endless_headers_get_431(standin: StandIn) -> None:
    with _socket(standin) as sock, contextlib.suppress(ConnectionError):
        sock.sendall(b"GET / HTTP/1.1\r\n")
        for _ in range(30):
            sock.sendall(b"x-a: " + b"a" * 50_000 + b"\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 431 ")


def test_an_upgrade_to_h2c_is_passed_over(standin: StandIn) -> None:
    asked = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: h2c\r\n\r\n"
    assert _talk(standin, asked * 2).count(b"HTTP/1.1 200 OK") == 2


def test_an_absolute_target_is_reported_as_it_came(standin: StandIn) -> None:
    answer = _talk(standin, b"GET http://other/x HTTP/1.1\r\nhost: a\r\n\r\n")
    assert b'"path":"http://other/x"' in answer


def test_500_connections_at_once(standin: StandIn) -> None:
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(_socket(standin)) for _ in range(500)]
        for sock in socks:
            sock.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert all(sock.recv(65536).startswith(b"HTTP/1.1 200 OK") for sock in socks)
