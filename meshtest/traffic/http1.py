"""HTTP/1.1 and HTTP/1.0: requests byte for byte as given, responses parsed by llhttp.

Template ─ render(id, marks) ─► Http1Connection.exchange ─► done(connection, Reply)
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import httptools

from meshtest.traffic import tls
from meshtest.traffic.connect import name_of, tls_object
from meshtest.traffic.headers import ID_MEMBER, adds_id, encoded, given_baggage, has_header
from meshtest.traffic.model import Outcome, Protocol
from meshtest.traffic.reply import Reply, cause
from meshtest.traffic.request_ids import request_id

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from meshtest.traffic.model import Request
    from meshtest.traffic.target import Target

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_CHUNK = 16 * 1024
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class Template:
    """The bytes of a request but for its exchange id and its marks."""

    __slots__ = ("_after", "_before", "_between", "head_only")

    def __init__(self, request: Request, target: Target) -> None:
        version = "HTTP/1.0" if request.protocol is Protocol.HTTP10 else "HTTP/1.1"
        lines = [b"%s %s %s" % (encoded(request.method), target.path, version.encode())]
        if not has_header(request, "host"):
            lines.append(b"Host: " + encoded(target.authority))
        given = [(name, value) for name, value in request.headers if name.lower() != "baggage"]
        lines += [encoded(name) + b": " + encoded(value) for name, value in given]
        if _wants_length(request):
            lines.append(b"content-length: %d" % len(request.body))
        start = b"\r\n".join(lines) + b"\r\n"
        mark = b"baggage: " + ID_MEMBER.encode()
        own_id = adds_id(request)
        self._before = start + (b"x-request-id: " if own_id else mark)
        self._between = b"\r\n" + mark if own_id else None
        user = "".join("," + value for value in given_baggage(request))
        self._after = encoded(user) + b"\r\n\r\n" + _framed(request)
        self.head_only = request.method == "HEAD"

    def render(self, exchange: bytes, marks: bytes = b"") -> bytes:
        """One request; `marks` are baggage members, each with a comma before it."""
        if self._between is None:
            return b"".join((self._before, exchange, marks, self._after))
        own = request_id(exchange.decode()).encode()
        return b"".join((self._before, own, self._between, exchange, marks, self._after))


def _wants_length(request: Request) -> bool:
    framed = has_header(request, "content-length") or has_header(request, "transfer-encoding")
    return not framed and bool(request.body or request.method in _WITH_BODY)


def _framed(request: Request) -> bytes:
    """The body, in chunks where the request says that it comes so."""
    coding = next((value for name, value in request.headers if name.lower() == "transfer-encoding"), "")
    if coding.lower() != "chunked":
        return request.body
    pieces = [request.body[at : at + _CHUNK] for at in range(0, len(request.body), _CHUNK)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (*pieces, b""))


class Http1Connection(asyncio.Protocol):
    """One connection that carries one exchange after the other; the callbacks are llhttp's."""

    def __init__(self, remote: str = "", lost: Callable[[Http1Connection], None] | None = None) -> None:
        self.remote = remote
        self.local = ""
        self.alpn = ""
        self.certificate = ""
        self.usable = False
        """Whether another exchange may start on it."""
        self._lost = lost
        self._done: Callable[[Http1Connection, Reply], None] | None = None
        self._transport: asyncio.Transport | None = None
        self._tls: ssl.SSLObject | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._status = 0
        self._head = 0
        self._head_only = False
        self._complete = False
        self._ended: BaseException | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learn the addresses."""
        self._transport = cast("asyncio.Transport", transport)
        self.local = name_of(transport.get_extra_info("sockname"))
        self._tls = tls_object(transport)
        if self._tls is not None:
            self.alpn, self.certificate = tls.negotiated(self._tls)
        self.usable = True

    def exchange(
        self, data: bytes, *, head_only: bool, done: Callable[[Http1Connection, Reply], None]
    ) -> None:
        """Send a request; `done` is called once, when it has ended in any way."""
        self._done = done
        self._headers = []
        self._body = []
        self._status = self._head = 0
        self._complete = False
        self._head_only = head_only
        if self._transport is None or not self.usable:
            self._finish(self._failure(self._ended))
            return
        self.usable = False
        self._transport.write(data)

    def give_up(self, outcome: Outcome, error: str) -> None:
        """End the exchange that is under way, and with it the connection."""
        reply = self._reply(outcome, error)
        self.close()
        self._finish(reply)

    def close(self) -> None:
        """Close at once: nothing more is wanted from the other side."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    def shut(self) -> None:
        """Close in good order."""
        self.usable = False
        if self._transport is not None:
            self._transport.close()

    # -- asyncio ---------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Feed the parser."""
        if self._done is None:  # bytes that nobody asked for: whatever it is, it is not the next response
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._complete = True
        except httptools.HttpParserError as exc:
            if not self._complete:
                self.give_up(Outcome.RESET, f"not an HTTP response: {exc}: {data[:80]!r}")
                return
        if self._complete:
            self._respond()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the exchange that is under way, if any."""
        self.usable = False
        self._ended = exc
        if self._done is not None:
            if exc is None and self._ends_with_connection():
                self._finish(self._reply(Outcome.RESPONSE))
            else:
                self._finish(self._failure(exc))
        if self._lost is not None:
            self._lost(self)

    # -- llhttp ----------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Stop at a second response to one request."""
        if self._complete:
            self.usable = False
            raise ValueError("a second response to one request")  # llhttp stops here

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, or, after the body, a trailer."""
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Pass over 1xx; end a response that has no body."""
        status = self._parser.get_status_code()
        if status < 200 and status != 101:
            self._headers = []
        elif not self._complete:
            self._status = status
            self._head = len(self._headers)
            if self._head_only:
                self._complete = True

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Mark the response as whole."""
        if self._status and not self._complete:
            self._complete = True
            self.usable = self._parser.should_keep_alive() and self._status != 101

    # -- ends ------------------------------------------------------------------------------------------------

    def _respond(self) -> None:
        reply = self._reply(Outcome.RESPONSE)
        if self._head_only:  # llhttp cannot be told that no body follows
            self.usable = self._kept_alive()
            self._parser = httptools.HttpResponseParser(self)
        if not self.usable:
            self.shut()
        self._finish(reply)

    def _kept_alive(self) -> bool:
        values = [value.lower() for name, value in self._headers if name.lower() == b"connection"]
        return self._parser.get_http_version() == "1.1" and b"close" not in values

    def _ends_with_connection(self) -> bool:
        """Whether the response has no length of its own (RFC 9112, 6.3): the end of stream ends it."""
        return self._status != 0 and not any(name.lower() in _FRAMING for name, _ in self._headers)

    def _failure(self, exc: BaseException | None) -> Reply:
        if self._status:
            return self._reply(Outcome.RESET, f"{cause(exc)} in a response with status {self._status}")
        failed = tls.broken(exc, self._tls) if self._tls else None
        return self._reply(failed.outcome, failed.error) if failed else self._reply(Outcome.RESET, cause(exc))

    def _reply(self, outcome: Outcome, error: str = "") -> Reply:
        whole = outcome is Outcome.RESPONSE
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        return Reply(
            outcome,
            self._status if whole else None,
            tuple(self._headers[: self._head]),
            body,
            f"HTTP/{self._parser.get_http_version()}" if self._status else "",
            error,
            self.local,
            self.remote,
            trailers=tuple(self._headers[self._head :]),
            certificate=self.certificate,
        )

    def _finish(self, reply: Reply) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(self, reply)
