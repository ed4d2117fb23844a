"""The client's side of one HTTP/1.1 connection: one request at a time, one future each."""

# ruff: noqa: D102 - the callbacks of asyncio and of httptools
from __future__ import annotations

import asyncio
from dataclasses import dataclass

import httptools

_LONGEST = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A whole answer."""

    status: int
    content_type: str
    body: bytes


class Client(asyncio.Protocol):
    """A connection that can be kept while `open`."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.open = False
        self._answer: asyncio.Future[Response] | None = None
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._clear()

    async def ask(self, request: bytes) -> Response:
        """Send a request and wait for its answer; EOFError or OSError if the connection ends before."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def abort(self) -> None:
        """End the connection at once."""
        self.open = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self._transport = transport
        self.open = True

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            self._fail(ConnectionResetError(f"not an HTTP response: {exc}"))
            self.abort()

    def eof_received(self) -> None:
        self.open = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        if exc is None and self._until_close:
            self.on_message_complete()
        self._fail(exc or EOFError("the connection ended before the answer"))

    # Called by the parser.

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"content-type":
            self._content_type = value.decode("latin-1")
        elif name in {b"content-length", b"transfer-encoding"}:
            self._framed = True

    def on_headers_complete(self) -> None:
        self._until_close = not self._framed

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size <= _LONGEST:
            self._body.append(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        response = Response(status=status, content_type=self._content_type, body=b"".join(self._body))
        self._clear()
        if status < 200:
            return
        self.open = self.open and self._parser.should_keep_alive()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(response)

    def _fail(self, exc: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc)

    def _clear(self) -> None:
        self._body: list[bytes] = []
        self._size = 0
        self._content_type = ""
        self._framed = False
        self._until_close = False
