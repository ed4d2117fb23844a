"""A single request over HTTP/2, and a gRPC call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import unquote

from meshtest.traffic.headers import encoded
from meshtest.traffic.http2 import Http2Connection
from meshtest.traffic.model import Outcome, Protocol
from meshtest.traffic.reply import Failed, Reply

if TYPE_CHECKING:
    from meshtest.traffic.call import Call
    from meshtest.traffic.http2 import Stream
    from meshtest.traffic.reply import Headers

_GRPC_OF_HTTP = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}
"""What a gRPC client makes of an HTTP status (grpc/grpc: doc/http-grpc-status-mapping.md)."""
_UNKNOWN = 2
_PER_CONNECTION = frozenset({"connection", "host", "keep-alive", "transfer-encoding", "upgrade"})


async def speak_http2(call: Call) -> Reply:
    """Send over a connection of its own, or over a shared one of the caller where reuse is asked for."""
    connection = await _connection(call)
    try:
        return await exchange(call, connection)
    finally:
        if not call.request.reuse:
            connection.close()


async def exchange(call: Call, connection: Http2Connection) -> Reply:
    """One request and its response; cancelled (a timeout), it resets the stream."""
    call.trail.local, call.trail.remote = connection.local, connection.remote
    call.trail.certificate, call.trail.protocol = connection.certificate, "HTTP/2"
    grpc = call.request.protocol is Protocol.GRPC
    body = _grpc_frames(call) if grpc else call.request.body
    stream = connection.stream(_headers(call, grpc=grpc), end=not body)
    try:
        if body:
            stream.send(body, end=True)
        await stream.ended
    except asyncio.CancelledError:
        stream.cancel()
        raise
    except Failed as exc:
        raise Failed(exc.outcome, exc.error, body=b"".join(stream.data)) from exc
    return _reply(call, connection, stream, grpc=grpc)


async def _connection(call: Call) -> Http2Connection:
    if not call.request.reuse:
        connection = await call.connect(Http2Connection)
        connection.remote = call.trail.remote
        return connection
    key = ("h2", *call.destination)
    return await call.pool.shared(key, lambda: _open(call))


async def _open(call: Call) -> Http2Connection:
    connection = await call.connect(Http2Connection)
    connection.remote = call.trail.remote
    return connection


def _headers(call: Call, *, grpc: bool) -> list[tuple[bytes, bytes]]:
    method = "POST" if grpc else call.request.method
    given = call.headers()
    host = next((value for name, value in given if name.lower() == "host"), None)
    pseudo = [
        (b":method", encoded(method)),
        (b":scheme", b"https" if call.target.secure else b"http"),
        (b":authority", encoded(host or call.target.authority)),
        (b":path", call.target.path),
    ]
    # HTTP/2 knows lower-case names only (RFC 9113, 8.2.1), and no headers of a connection.
    plain = [
        (encoded(name.lower()), encoded(value))
        for name, value in given
        if name.lower() not in _PER_CONNECTION
    ]
    names = {name for name, _ in plain}
    if grpc:
        own = ((b"te", b"trailers"), (b"content-type", b"application/grpc"))
        plain += [(name, value) for name, value in own if name not in names]
    elif call.request.body and b"content-length" not in names:
        plain.append((b"content-length", b"%d" % len(call.request.body)))
    return pseudo + plain


def _grpc_frames(call: Call) -> bytes:
    body = call.request.body
    return (b"\0" + len(body).to_bytes(4, "big") + body) * max(1, call.request.messages)


def _reply(call: Call, connection: Http2Connection, stream: Stream, *, grpc: bool) -> Reply:
    body = b"".join(stream.data)
    status = stream.status
    reply = Reply(
        Outcome.RESPONSE,
        status,
        _plain(stream.headers),
        body,
        "HTTP/2",
        "",
        call.trail.local,
        call.trail.remote,
        trailers=_plain(stream.trailers),
        certificate=connection.certificate,
    )
    if not grpc:
        return reply
    messages = _messages(body)
    code, text = _grpc_status(reply)
    return reply._replace(
        body=messages[0] if messages else b"", messages=messages, grpc_status=code, error=text if code else ""
    )


def _grpc_status(reply: Reply) -> tuple[int, str]:
    """The status of the trailers (or headers, where nothing else came), else what the HTTP status means."""
    found = dict((*reply.headers, *reply.trailers))
    code = found.get(b"grpc-status", b"")
    if code.isdigit():
        return int(code), unquote(found.get(b"grpc-message", b"").decode("latin-1"))
    return _GRPC_OF_HTTP.get(reply.status or 0, _UNKNOWN), f"no grpc-status, HTTP status {reply.status}"


def _messages(data: bytes) -> tuple[bytes, ...]:
    found = []
    start = 0
    while start + 5 <= len(data):
        end = start + 5 + int.from_bytes(data[start + 1 : start + 5], "big")
        found.append(data[start + 5 : end])
        start = end
    return tuple(found)


def _plain(headers: Headers) -> Headers:
    return tuple((name, value) for name, value in headers if not name.startswith(b":"))
