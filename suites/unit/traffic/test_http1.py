from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from meshtest.traffic.client import Traffic
from meshtest.traffic.http1 import Template
from meshtest.traffic.model import Outcome, Protocol, Request
from meshtest.traffic.target import target_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from meshtest.traffic.client import TrafficDriver

    Serve = Callable[..., int]

CALLER = "default/caller"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Answer: Yes\r\n\r\nok"


class Recorder:
    """Answers every request with the same bytes and keeps what it read."""

    def __init__(self, answer: bytes, *, close: bool = False) -> None:
        self.answer = answer
        self.close = close
        self.seen: list[bytes] = []
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            length = next(
                (
                    int(line[15:])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                ),
                0,
            )
            self.seen.append(head + await reader.readexactly(length))
            writer.write(self.answer)
            await writer.drain()
            if self.close:
                break
        writer.close()


def url(port: int, path: str = "/") -> str:
    return f"http://127.0.0.1:{port}{path}"


def test_sends_what_was_written_byte_for_byte(driver: TrafficDriver, serve: Serve) -> None:
    server = Recorder(OK)
    port = serve(server)
    request = Request(
        url=url(port, "/a/../b//%2F?q=ä#x"),
        method="M-SEARCH",
        headers=(("X-Second", "2"), ("x-first", "1"), ("Baggage", "tenant=7"), ("X-Second", "3")),
        host="Reviews.example:99",
        body=b"body",
    )
    one = driver.request(CALLER, request, marks=["mtf.f1=a%7Cb"])
    assert one.id == "mt-0a1b-0"
    assert one.faults == ("f1",)
    assert (
        server.seen[0]
        == (
            "M-SEARCH /a/../b//%2F?q=ä#x HTTP/1.1\r\nHost: Reviews.example:99\r\n"
            "X-Second: 2\r\nx-first: 1\r\nX-Second: 3\r\ncontent-length: 4\r\n"
            "x-request-id: mt-0a1b-0\r\nbaggage: meshtest=mt-0a1b-0,mtf.f1=a%7Cb,tenant=7\r\n\r\nbody"
        ).encode()
    )


@pytest.mark.parametrize(
    ("body", "framed"),
    [(b"", b"0\r\n\r\n"), (b"hello", b"5\r\nhello\r\n0\r\n\r\n")],
    ids=["empty", "one-chunk"],
)
def test_a_body_goes_in_chunks_where_its_headers_say_so(body: bytes, framed: bytes) -> None:
    request = Request(url="http://a/", method="POST", headers=(("Transfer-Encoding", "chunked"),), body=body)
    head, _, rest = Template(request, target_of(request)).render(b"id").partition(b"\r\n\r\n")
    assert rest == framed
    assert b"content-length" not in head


def test_reports_the_response_with_the_case_of_its_headers(driver: TrafficDriver, serve: Serve) -> None:
    one = driver.request(CALLER, Request(url=url(serve(Recorder(OK)))))
    assert (one.outcome, one.status, one.body, one.protocol) == (Outcome.RESPONSE, 200, b"ok", "HTTP/1.1")
    assert ("X-Answer", "Yes") in one.headers
    assert one.local_address.startswith("127.0.0.1:")
    assert one.latency < 5


def test_a_users_own_request_id_and_host_are_left_alone(driver: TrafficDriver, serve: Serve) -> None:
    server = Recorder(OK)
    headers = (("X-Request-Id", "mine"), ("host", "first"))
    driver.request(CALLER, Request(url=url(serve(server)), headers=headers))
    assert server.seen[0].lower().count(b"x-request-id") == 1
    assert server.seen[0].lower().count(b"host:") == 1
    assert b"X-Request-Id: mine\r\n" in server.seen[0]


def test_a_request_goes_without_an_id_where_that_is_asked_for(driver: TrafficDriver, serve: Serve) -> None:
    server = Recorder(OK)
    driver.request(CALLER, Request(url=url(serve(server)), request_id=False))
    assert b"x-request-id" not in server.seen[0].lower()
    assert b"baggage: meshtest=mt-0a1b-0\r\n" in server.seen[0]


@pytest.mark.parametrize(
    ("answer", "body", "status"),
    [
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nx-t: 1\r\n\r\n",
            b"abc",
            200,
        ),
        (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK, b"ok", 200),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"", 204),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", b"until the end", 200),
    ],
    ids=["chunked", "informational", "no-content", "until-eof"],
)
def test_reads_every_way_to_frame_a_body(
    driver: TrafficDriver, serve: Serve, answer: bytes, body: bytes, status: int
) -> None:
    one = driver.request(CALLER, Request(url=url(serve(Recorder(answer, close=True)))))
    assert (one.outcome, one.status, one.body) == (Outcome.RESPONSE, status, body)
    assert all(name != "link" for name, _ in one.headers)


def test_trailers_of_a_chunked_response_are_kept_apart(driver: TrafficDriver, serve: Serve) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx-t: 1\r\n\r\n"
    one = driver.request(CALLER, Request(url=url(serve(Recorder(answer)))))
    assert one.trailers == (("x-t", "1"),)


def test_a_response_to_head_has_no_body_and_the_connection_goes_on(
    driver: TrafficDriver, serve: Serve
) -> None:
    server = Recorder(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
    port = serve(server)
    head = Request(url=url(port), method="HEAD", reuse=True)
    ended = driver.send(Traffic(caller=CALLER, requests=[head], count=3))
    assert [one.status for one in ended] == [200, 200, 200]
    assert server.connections == 1


def test_http_1_0_says_so(driver: TrafficDriver, serve: Serve) -> None:
    server = Recorder(OK)
    driver.request(CALLER, Request(url=url(serve(server)), protocol=Protocol.HTTP10))
    assert server.seen[0].startswith(b"GET / HTTP/1.0\r\n")


async def _reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def _cut_short(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")
    writer.close()


async def _garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"\x15\x03\x01\x00\x02\x02\x46")
    writer.close()


@pytest.mark.parametrize(
    ("handler", "text"),
    [
        (_reset, "Connection reset by peer"),
        (_close, "closed by the peer"),
        (_cut_short, "in a response with status 200"),
        (_garbage, "not an HTTP response"),
    ],
    ids=["reset", "close", "cut-short", "garbage"],
)
def test_no_whole_response_is_a_reset_without_status(
    driver: TrafficDriver,
    serve: Serve,
    handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    text: str,
) -> None:
    one = driver.request(CALLER, Request(url=url(serve(handler))))
    assert (one.outcome, one.status) == (Outcome.RESET, None)
    assert text in one.error


def test_nobody_listening_is_refused(driver: TrafficDriver) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        one = driver.request(CALLER, Request(url=url(held.getsockname()[1])))
    assert (one.outcome, one.error) == (Outcome.REFUSED, "Connection refused")


def test_silence_is_a_timeout_with_the_addresses_known(driver: TrafficDriver, serve: Serve) -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    one = driver.request(CALLER, Request(url=url(serve(silent)), timeout=0.1))
    assert one.outcome is Outcome.TIMEOUT
    assert one.local_address.startswith("127.0.0.1:")
    assert 0.09 < one.latency < 5


def test_an_unknown_name_is_unresolved_also_in_a_load(driver: TrafficDriver) -> None:
    request = Request(url="http://nowhere:80/")
    assert driver.request(CALLER, request).outcome is Outcome.UNRESOLVED
    ended = driver.send(Traffic(caller=CALLER, requests=[request], count=3))
    assert [one.outcome for one in ended] == [Outcome.UNRESOLVED] * 3


def test_redirects_are_followed_only_when_asked(driver: TrafficDriver, serve: Serve) -> None:
    there = serve(Recorder(OK))
    answer = f"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{there}/new\r\ncontent-length: 0\r\n\r\n"
    request = Request(url=url(serve(Recorder(answer.encode()))))
    assert driver.request(CALLER, request).status == 302
    one = driver.request(CALLER, replace(request, follow_redirects=True))
    assert (one.status, one.redirects) == (200, (f"http://127.0.0.1:{there}/new",))


def test_redirects_end_after_ten(driver: TrafficDriver, serve: Serve) -> None:
    answer = b"HTTP/1.1 307 Again\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n"
    one = driver.request(CALLER, Request(url=url(serve(Recorder(answer))), follow_redirects=True))
    assert (one.status, len(one.redirects)) == (307, 10)
