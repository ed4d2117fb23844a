"""HTTP/2, with prior knowledge or by ALPN; streams whose content-type is gRPC's are handed to `grpc`."""

# ruff: noqa: D102 - asyncio's callbacks
from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from meshtest.standin.base import Talk
from meshtest.standin.facts import Connection, Decision, Received
from meshtest.standin.grpc import GrpcCall
from meshtest.standin.service import KEPT_BODY

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Iterable, Iterator

    from h2.events import Event

    from meshtest.standin.service import Service

    Headers = list[tuple[str, str]]

_WINDOW = 1 << 20
_STREAMS = 1 << 20
"""Never the limit: what limits concurrent requests is the mesh's policy under test."""


class Outgoing:
    """What a stream still has to send when its window allows."""

    __slots__ = ("data", "ended", "trailers")

    def __init__(self) -> None:
        self.data = bytearray()
        self.ended = False
        self.trailers: Headers | None = None


class HttpStream:
    """An HTTP request that is being received."""

    def __init__(self, http2: Http2, stream: int, received: Received) -> None:
        self._http2 = http2
        self._stream = stream
        self._received = received
        self._body = bytearray()

    def data(self, data: bytes) -> None:
        """Take a piece of the body."""
        self._received.size += len(data)
        self._body += data[: max(0, KEPT_BODY - len(self._body))]

    def end(self) -> None:
        """Answer: the request is complete."""
        self._received.body = bytes(self._body)
        decision = self._http2.service.decide(self._received)
        if isinstance(decision, Decision):
            self._answer(decision)
        else:
            self._http2.service.spawn(self._answer_later(decision))

    async def _answer_later(self, pending: Awaitable[Decision]) -> None:
        self._answer(await pending)
        self._http2.flush()

    def _answer(self, decision: Decision) -> None:
        http2 = self._http2
        if decision.reset:
            http2.reset(self._stream)
            return
        body = http2.service.answer(self._received, decision)
        headers = [
            (":status", str(decision.status)),
            *((name.lower(), value) for name, value in decision.headers),
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
        ]
        http2.send_headers(self._stream, headers)
        http2.send(self._stream, b"" if self._received.method == "HEAD" else body, ended=True)


class Http2(Talk):
    """The server's side of one connection."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.service = service
        config = H2Configuration(
            client_side=False,
            header_encoding="latin-1",
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self._h2 = H2Connection(config=config)
        self._incoming: dict[int, HttpStream | GrpcCall] = {}
        self._outgoing: dict[int, Outgoing] = {}
        self._connection: Connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connection = self.service.connection(transport)
        # As initial values: h2 announces these, not what is changed before it announces.
        values = {SettingCodes.MAX_CONCURRENT_STREAMS: _STREAMS, SettingCodes.INITIAL_WINDOW_SIZE: _WINDOW}
        self._h2.local_settings = Settings(client=False, initial_values=values)
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(_WINDOW)
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._incoming.clear()
        self._outgoing.clear()

    def data_received(self, data: bytes) -> None:
        try:
            for event in self._h2.receive_data(data):
                self._take(event)
        except ProtocolError:
            self.flush()  # h2 has prepared the GOAWAY that says why
            self._transport.close()
            return
        self.flush()

    def flush(self) -> None:
        """Write what h2 has prepared."""
        data = self._h2.data_to_send()
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def send_headers(self, stream: int, headers: Headers, *, ended: bool = False) -> None:
        """Begin an answer; a stream that is gone already is passed over."""
        if stream in self._outgoing:
            with self._closed_meanwhile(stream):
                self._h2.send_headers(stream, headers, end_stream=ended)
            if ended:
                self._forget(stream)

    def send(self, stream: int, data: bytes, *, ended: bool = False, trailers: Headers | None = None) -> None:
        """Go on with an answer, as far as the windows allow; the rest follows when they open."""
        outgoing = self._outgoing.get(stream)
        if outgoing is not None:
            outgoing.data += data
            outgoing.ended, outgoing.trailers = ended, trailers
            with self._closed_meanwhile(stream):
                self._pump(stream, outgoing)

    def reset(self, stream: int) -> None:
        """End one stream as an application does that breaks down; the others go on."""
        if stream in self._outgoing:
            with self._closed_meanwhile(stream):
                self._h2.reset_stream(stream, ErrorCodes.INTERNAL_ERROR)
            self._forget(stream)

    def _take(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            self._begin(event.stream_id, event.headers)  # type: ignore[arg-type]  # decoded
        elif isinstance(event, DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            stream = self._incoming.get(event.stream_id)
            if stream is not None:
                stream.data(event.data)
        elif isinstance(event, StreamEnded):
            ended = self._incoming.pop(event.stream_id, None)
            if ended is not None:
                ended.end()
        elif isinstance(event, StreamReset):
            self._forget(event.stream_id)
        elif isinstance(event, WindowUpdated | RemoteSettingsChanged):
            self._resume(getattr(event, "stream_id", None))
        elif isinstance(event, ConnectionTerminated) and not self._outgoing:
            self._transport.close()

    def _begin(self, stream: int, headers: Iterable[tuple[str, str]]) -> None:
        pseudo: dict[str, str] = {}
        named: dict[str, list[str]] = {}
        for name, value in headers:
            if name[0] == ":":
                pseudo[name] = value
            else:
                named.setdefault(name, []).append(value)
        received = Received(
            connection=self._connection,
            method=pseudo.get(":method", ""),
            path=pseudo.get(":path", ""),
            host=pseudo.get(":authority") or next(iter(named.get("host", ())), ""),
            protocol="HTTP/2",
            headers=named,
        )
        grpc = next(iter(named.get("content-type", ())), "").startswith("application/grpc")
        self._outgoing[stream] = Outgoing()
        self._incoming[stream] = (GrpcCall if grpc else HttpStream)(self, stream, received)

    def _resume(self, stream: int | None) -> None:
        """Go on with one stream whose window opened, or with all."""
        for number in (stream,) if stream else tuple(self._outgoing):
            outgoing = self._outgoing.get(number)
            if outgoing is not None:
                with self._closed_meanwhile(number):
                    self._pump(number, outgoing)

    @contextmanager
    def _closed_meanwhile(self, stream: int) -> Iterator[None]:
        """Pass over what the client has reset or ended in bytes that h2 has read already."""
        try:
            yield
        except ProtocolError:
            self._forget(stream)

    def _pump(self, stream: int, outgoing: Outgoing) -> None:
        h2, data = self._h2, outgoing.data
        while data:
            size = min(len(data), h2.local_flow_control_window(stream), h2.max_outbound_frame_size)
            if size <= 0:
                return
            last = size == len(data) and outgoing.ended and outgoing.trailers is None
            h2.send_data(stream, bytes(data[:size]), end_stream=last)
            del data[:size]
            if last:
                self._forget(stream)
                return
        if outgoing.trailers is not None:
            h2.send_headers(stream, outgoing.trailers, end_stream=True)
            self._forget(stream)
        elif outgoing.ended:
            h2.end_stream(stream)
            self._forget(stream)

    def _forget(self, stream: int) -> None:
        self._incoming.pop(stream, None)
        self._outgoing.pop(stream, None)
