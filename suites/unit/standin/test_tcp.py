"""TCP ports, and what a port that finds out takes for TCP."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest

from meshtest.standin.sniff import PREFACE, Spoken, recognise

if TYPE_CHECKING:
    from suites.unit.standin.conftest import StandIn, Start


def _talk(port: int, sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: sock.recv(65536), b""))


def test_echoes_after_one_line_about_itself(start: Start) -> None:
    standin = start(ports=[{"port": 0, "protocol": "tcp"}])
    line, _, echo = _talk(standin.port, b"GET / HTTP/1.1\r\n\r\n").partition(b"\n")
    told = json.loads(line)
    assert (told["workload"], told["protocol"], told["received"]) == ("ratings-v1", "TCP", 18)
    assert echo == b"GET / HTTP/1.1\r\n\r\n"


def test_echoes_a_million_bytes(start: Start) -> None:
    standin = start(ports=[{"port": 0, "protocol": "tcp"}])
    sent = bytes(range(256)) * 4096
    with socket.create_connection(("127.0.0.1", standin.port), timeout=10) as sock:
        file = sock.makefile("rb")
        sock.sendall(sent[:1000])
        file.readline()
        assert file.read(1000) == sent[:1000]
        sock.sendall(sent)
        assert file.read(len(sent)) == sent
        file.close()


def test_who_only_half_closes_gets_the_line(start: Start) -> None:
    standin = start(ports=[{"port": 0, "protocol": "tcp"}])
    assert json.loads(_talk(standin.port, b""))["received"] == 0


def test_server_first_greets_before_anything_is_sent(start: Start) -> None:
    standin = start(ports=[{"port": 0, "protocol": "server-first"}])
    with (
        socket.create_connection(("127.0.0.1", standin.port), timeout=10) as sock,
        sock.makefile("rb") as file,
    ):
        assert file.readline() == b"meshtest workload=ratings-v1 pod=ratings-v1-0 namespace=default\n"
        sock.sendall(b"hello")
        assert file.read(5) == b"hello"


@pytest.mark.parametrize("sent", [b"hello", b"GE", b"GET it\n", b"\x00\x01\x02", b"PRI"])
def test_an_automatic_port_echoes_what_is_no_protocol(standin: StandIn, sent: bytes) -> None:
    assert _talk(standin.port, sent).endswith(b"}\n" + sent)


def test_an_ambiguous_beginning_that_stays_so_is_echoed(standin: StandIn) -> None:
    with (
        socket.create_connection(("127.0.0.1", standin.port), timeout=10) as sock,
        sock.makefile("rb") as file,
    ):
        sock.sendall(b"GET")
        assert json.loads(file.readline())["received"] == 3


def test_counts_connections_but_not_probes(standin: StandIn) -> None:
    _talk(standin.port, b"")
    _talk(standin.port, b"hello")
    assert standin.ask("/_meshtest/calls").told == {"total": 1, "paths": {f"tcp:{standin.port}": 1}}


@pytest.mark.parametrize(
    ("data", "spoken"),
    [
        (b"GET / HTTP/1.1\r\n", Spoken.HTTP1),
        (b"OPTIONS * HTTP/1.1\r\n", Spoken.HTTP1),
        (b"GET http://a/ HTTP/1.1\r\n", Spoken.HTTP1),
        (b"GET /" + b"a" * 9000, Spoken.HTTP1),
        (b"FROB x HTTP/1.1\r\n", Spoken.HTTP1),
        (PREFACE, Spoken.HTTP2),
        (PREFACE[:5], None),
        (b"P", None),
        (b"\x16\x03\x01\x02", Spoken.TLS),
        (b"\x16", None),
        (b"\x16\x04", Spoken.OTHER),
        (b"get / HTTP\n", Spoken.OTHER),
    ],
)
def test_recognises_protocols_by_their_first_bytes(data: bytes, spoken: Spoken | None) -> None:
    assert recognise(data) is spoken


def test_a_request_that_comes_byte_by_byte_is_recognised(standin: StandIn) -> None:
    with socket.create_connection(("127.0.0.1", standin.port), timeout=10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"DELETE /x HTTP/1.1\r\nhost: a\r\n\r\n":
            sock.sendall(bytes((byte,)))
        assert b'"method":"DELETE"' in sock.recv(65536)
