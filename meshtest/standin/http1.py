"""HTTP/1.0 and HTTP/1.1: keep-alive, pipelining, chunked bodies, Expect, HEAD, Upgrade to WebSocket.

The hot path (a request that asks for nothing special) runs from the socket's bytes to the answer's without a
task, a future or a stream.
"""

# ruff: noqa: D102 - the callbacks of asyncio and of httptools
from __future__ import annotations

import asyncio
import http
from collections import deque
from typing import TYPE_CHECKING

import httptools

from meshtest.standin.base import Talk
from meshtest.standin.facts import Connection, Decision, Received, reset
from meshtest.standin.service import KEPT_BODY

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from meshtest.standin.service import Service

_LONGEST_HEAD = 1 << 20
_LONGEST_QUEUE = 64
_OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
_NO_BODY = frozenset({204, 304})


class Http1(Talk):
    """The server's side of one connection."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[tuple[Received, bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._in_head = True
        self._head_size = 0
        self._connection: Connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connection = self._service.connection(transport)
        self.on_message_begin()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as exc:
            self._upgrade(data[exc.args[0] :])
            return
        except httptools.HttpParserCallbackError as exc:
            context = {"message": "the stand-in could not answer", "exception": exc.__context__ or exc}
            asyncio.get_running_loop().call_exception_handler(context)
            self._refuse(500)
            return
        except httptools.HttpParserError:
            self._refuse(400)
            return
        if self._in_head:
            self._head_size += len(data)
            if self._head_size > _LONGEST_HEAD:
                self._refuse(431)

    def eof_received(self) -> bool:
        """Keep a half-closed connection until its last answer is written."""
        if self._task is None:
            return False
        self._closing = True
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._closing = True
        self._queue.clear()

    def resume_writing(self) -> None:
        if len(self._queue) < _LONGEST_QUEUE:
            self._transport.resume_reading()

    # Called by the parser, several times per request and several requests per piece of data.

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_size = 0
        self._url = b""
        self._headers: dict[str, list[str]] = {}
        self._body: list[bytes] | None = None
        self._size = 0

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        key = name.lower().decode("latin-1")
        values = self._headers.get(key)
        if values is None:
            self._headers[key] = [value.decode("latin-1")]
        else:
            values.append(value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        self._in_head = False
        expected = self._headers.get("expect")
        if expected is not None and expected[0].lower() == "100-continue" and self._task is None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        if self._body is None:
            self._body = []
        if self._size < KEPT_BODY:
            self._body.append(body[: KEPT_BODY - self._size])
        self._size += len(body)

    def on_message_complete(self) -> None:
        parser = self._parser
        if self._closing or self._upgrades():
            return
        received = Received(
            connection=self._connection,
            method=parser.get_method().decode(),
            path=self._url.decode("latin-1"),
            host=self._headers.get("host", ("",))[0],
            protocol="HTTP/" + parser.get_http_version(),
            headers=self._headers,
            body=b"".join(self._body) if self._body is not None else b"",
            size=self._size,
        )
        keep = parser.should_keep_alive()
        self._in_head, self._head_size = True, 0
        if self._task is not None:
            self._queue.append((received, keep))
            if len(self._queue) == _LONGEST_QUEUE:
                self._transport.pause_reading()
            return
        self._answer(received, keep=keep)

    # Answers leave in the order of their requests.

    def _answer(self, received: Received, *, keep: bool) -> None:
        decision = self._service.decide(received)
        if isinstance(decision, Decision):
            self._write(received, decision, keep=keep)
        else:
            self._task = self._service.spawn(self._answer_later(received, decision, keep=keep))

    async def _answer_later(self, received: Received, pending: Awaitable[Decision], *, keep: bool) -> None:
        decision = await pending
        self._task = None
        if self._transport.is_closing():
            return
        self._write(received, decision, keep=keep)
        while self._queue and self._task is None and not self._transport.is_closing():
            received, keep = self._queue.popleft()
            self._answer(received, keep=keep)
        if self._task is None and not self._transport.is_closing():
            if self._closing:
                self._transport.close()
            else:
                self._transport.resume_reading()

    def _write(self, received: Received, decision: Decision, *, keep: bool) -> None:
        if decision.reset:
            self._closing = True
            reset(self._transport)
            return
        body = self._service.answer(received, decision)
        if decision.status == 200 and keep and not decision.headers and received.protocol == "HTTP/1.1":
            head = _OK % len(body)
        else:
            head = _head(decision, len(body), received, keep=keep)
        no_body = received.method == "HEAD" or decision.status in _NO_BODY
        self._transport.write(head if no_body else head + body)
        if not keep:
            self._closing = True
            self._transport.close()

    def _refuse(self, status: int) -> None:
        """Answer what is not a request, after what was one; nothing after it can be understood."""
        self._closing = True
        if self._task is None:
            body = b'{"message":"malformed request"}'
            head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(
                body
            )
            self._transport.write(_status_line(status) + head + body)
            self._transport.close()

    def _upgrades(self) -> bool:
        return self._parser.get_method() != b"CONNECT" and (
            self._headers.get("upgrade", ("",))[0].lower() == "websocket"
            and "upgrade" in ",".join(self._headers.get("connection", ())).lower()
        )

    def _upgrade(self, rest: bytes) -> None:
        """Go on with what follows a request that asks for another protocol: only WebSocket is taken up."""
        if self._closing:
            return
        if self._upgrades() and self._task is None:
            self._become_websocket(rest)
        elif self._parser.get_method() == b"CONNECT" or self._headers.keys() & {
            "content-length",
            "transfer-encoding",
        }:
            # llhttp takes a body that follows for the other protocol's bytes.
            self._closing = True
            if self._task is None:
                self._transport.close()
        else:
            self._parser = httptools.HttpRequestParser(self)
            self.data_received(rest)

    def _become_websocket(self, rest: bytes) -> None:
        from meshtest.standin.websocket import WebSocket  # noqa: PLC0415 - wsproto only where it is spoken

        received = Received(
            connection=self._connection,
            method=self._parser.get_method().decode(),
            path=self._url.decode("latin-1"),
            host=self._headers.get("host", ("",))[0],
            protocol="HTTP/" + self._parser.get_http_version(),
            headers=self._headers,
        )
        self._become(WebSocket(self._service, received), rest)


def _status_line(status: int) -> bytes:
    try:
        reason = http.HTTPStatus(status).phrase
    except ValueError:
        reason = ""
    return f"HTTP/1.1 {status} {reason}\r\n".encode()


def _head(decision: Decision, size: int, received: Received, *, keep: bool) -> bytes:
    lines = [_status_line(decision.status)]
    lines += [f"{name}: {value}\r\n".encode("latin-1", "replace") for name, value in decision.headers]
    if decision.status not in _NO_BODY:
        lines.append(b"content-type: application/json\r\ncontent-length: %d\r\n" % size)
    if not keep:
        lines.append(b"connection: close\r\n")
    elif received.protocol == "HTTP/1.0":
        lines.append(b"connection: keep-alive\r\n")
    lines.append(b"\r\n")
    return b"".join(lines)
