"""gRPC: any method answers, one response per request message.

The response message has the JSON description in field 1 (string); its `body` is the request message.
Health checks (`grpc.health.v1.Health`) answer SERVING; `EchoThree` of the Gateway API's echo server is
unimplemented, as upstream. What `control` describes is asked for by the header X-Meshtest-Control;
`responseCode` is then the HTTP status.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from meshtest.standin.facts import Decision, Received

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from meshtest.standin.http2 import Http2

_NOT_THERE = "/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/EchoThree"
_HEALTH = "/grpc.health.v1.Health/"
_SERVING = b"\x08\x01"
_UNIMPLEMENTED = 12
_INTERNAL = 13


class GrpcCall:
    """One call: decided when its first message, or its end, is there; answered message by message."""

    def __init__(self, http2: Http2, stream: int, received: Received) -> None:
        self._http2 = http2
        self._stream = stream
        self._received = received
        self._buffer = bytearray()
        self._messages: deque[bytes] = deque()
        self._ended = False
        self._begun = False
        self._decision: Decision | None = None

    def data(self, data: bytes) -> None:
        """Take bytes of request messages."""
        self._buffer += data
        while len(self._buffer) >= 5:
            size = 5 + int.from_bytes(self._buffer[1:5], "big")
            if len(self._buffer) < size:
                break
            self._messages.append(bytes(self._buffer[5:size]))
            del self._buffer[:size]
        if self._messages:
            self._advance()

    def end(self) -> None:
        """Note that the client has sent everything."""
        self._ended = True
        self._advance()

    def _advance(self) -> None:
        if self._decision is not None:
            self._answer(self._decision)
        elif not self._begun:
            self._begun = True
            decision = self._http2.service.decide(self._received)
            if isinstance(decision, Decision):
                self._begin(decision)
            else:
                self._http2.service.spawn(self._begin_later(decision))

    async def _begin_later(self, pending: Awaitable[Decision]) -> None:
        self._begin(await pending)
        self._http2.flush()

    def _begin(self, decision: Decision) -> None:
        status = decision.grpc_status or 0
        if self._received.path == _NOT_THERE:
            status = _UNIMPLEMENTED
        if decision.reset:
            self._http2.reset(self._stream)
        elif decision.status != 200 and decision.calls is None:
            headers = [(":status", str(decision.status)), ("content-length", "0")]
            self._http2.send_headers(self._stream, headers, ended=True)
        elif status:
            self._refuse(status, decision)
        else:
            self._decision = decision
            self._http2.send_headers(self._stream, _headers(decision))
            self._answer(decision)

    def _refuse(self, status: int, decision: Decision) -> None:
        trailers = [("grpc-status", str(status)), ("grpc-message", "by the stand-in service")]
        headers = [*_headers(decision), *trailers]
        self._http2.send_headers(self._stream, headers, ended=True)

    def _answer(self, decision: Decision) -> None:
        while self._messages:
            message = self._response(self._messages.popleft(), decision)
            self._http2.send(self._stream, b"\x00" + len(message).to_bytes(4, "big") + message)
        watching = self._received.path == _HEALTH + "Watch"
        if self._ended and not watching:
            status = _INTERNAL if self._buffer else 0
            self._http2.send(self._stream, b"", ended=True, trailers=[("grpc-status", str(status))])

    def _response(self, message: bytes, decision: Decision) -> bytes:
        received = self._received
        if received.path.startswith(_HEALTH):
            return _SERVING
        received.body, received.size = message, len(message)
        return self._http2.service.message(received, decision)


def _headers(decision: Decision) -> list[tuple[str, str]]:
    extra = [(name.lower(), value) for name, value in decision.headers]
    return [(":status", "200"), ("content-type", "application/grpc"), *extra]
