from __future__ import annotations

import json
import socket
import struct
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.standin.proxy_protocol import SIGNATURE, Malformed, parse

if TYPE_CHECKING:
    from suites.unit.standin.conftest import Start

TEXT = b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 443\r\n"
BINARY = (
    SIGNATURE
    + struct.pack(">BBH", 0x21, 0x11, 12)
    + socket.inet_aton("192.0.2.1")
    + socket.inet_aton("192.0.2.2")
    + struct.pack(">HH", 40000, 443)
)
ENDS = {"source": "192.0.2.1:40000", "destination": "192.0.2.2:443"}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (TEXT, {"version": 1, **ENDS}),
        (b"PROXY UNKNOWN\r\n", {"version": 1}),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", {"version": 1}),
        (BINARY, {"version": 2, **ENDS}),
        (SIGNATURE + struct.pack(">BBH", 0x20, 0, 0), {"version": 2}),
    ],
    ids=["text", "unknown", "unknown-with-addresses", "binary", "local"],
)
def test_reads_both_versions_byte_by_byte(data: bytes, told: dict[str, Any]) -> None:
    assert parse(data + b"GET /") == (told, len(data))
    assert all(parse(data[:size]) is None for size in range(1, len(data)))


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"PROXY TCP4 nowhere\r\n",
        b"PROXY " + b"x" * 120,
        SIGNATURE + struct.pack(">BBH", 0x11, 0x11, 0),
    ],
    ids=["http", "no-addresses", "endless", "version"],
)
def test_what_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse(data)


@pytest.mark.parametrize(("header", "version"), [(TEXT, 1), (BINARY, 2)])
@pytest.mark.parametrize("protocol", ["http", "auto", "tcp"])
def test_a_port_tells_what_stood_before_the_request(
    start: Start, protocol: str, header: bytes, version: int
) -> None:
    one = start(ports=[{"port": 0, "protocol": protocol, "proxyProtocol": True}])
    with socket.create_connection(("127.0.0.1", one.port), timeout=10) as sock:
        request = b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n"
        for part in (header[:9], header[9:] + request[:3], request[3:]):
            sock.sendall(part)
        answer = sock.recv(65535).rpartition(b"\r\n\r\n")[2] if protocol != "tcp" else sock.recv(65535)
    told = json.loads(answer.partition(b"\n")[0])
    assert told["proxyProtocol"] == {"version": version, **ENDS}
    assert not one.server.service.proxied


def test_a_client_that_does_not_speak_it_is_closed(start: Start) -> None:
    one = start(ports=[{"port": 0, "protocol": "http", "proxyProtocol": True}])
    with socket.create_connection(("127.0.0.1", one.port), timeout=10) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert sock.recv(100) == b""
