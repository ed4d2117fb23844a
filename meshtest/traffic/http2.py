"""HTTP/2: streams over one connection; gRPC rides on them.

Http2Connection.stream(headers) ─► Stream: send(data), ended (future) ─► status, headers, data, trailers
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import H2Error
from h2.settings import SettingCodes, Settings

from meshtest.traffic import tls
from meshtest.traffic.connect import name_of, tls_object
from meshtest.traffic.model import Outcome
from meshtest.traffic.reply import Failed, cause

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from meshtest.traffic.reply import Headers

_WINDOW = 16 * 1024 * 1024
_GOAWAY = 7
_CONFIG = H2Configuration(
    client_side=True,
    header_encoding=None,
    # What the user writes goes out, and what the mesh answers is reported: neither is judged here.
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
    validate_inbound_headers=False,
    normalize_inbound_headers=False,
)


class Stream:
    """One request and its response."""

    def __init__(self, connection: Http2Connection, number: int) -> None:
        self._connection = connection
        self.number = number
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.headers: Headers = ()
        self.trailers: Headers = ()
        self.data: list[bytes] = []
        self.unsent = bytearray()
        self.half_closed = False

    def send(self, data: bytes, *, end: bool) -> None:
        """Send as the windows allow; `end` closes this side."""
        self.unsent += data
        self.half_closed = end
        self._connection.push(self)

    @property
    def status(self) -> int | None:
        """The :status, once it is there."""
        found = next((value for name, value in self.headers if name == b":status"), b"")
        return int(found) if found.isdigit() else None

    def fail(self, failed: Failed) -> None:
        """End it without a whole response."""
        if not self.ended.done():
            self.ended.set_exception(failed)
            self.ended.exception()  # whoever gave up waiting does not look any more

    def finish(self) -> None:
        """End it with a whole response."""
        if not self.ended.done():
            self.ended.set_result(None)

    def cancel(self) -> None:
        """Give up on it."""
        self._connection.cancel(self)


class Http2Connection(asyncio.Protocol):
    """One connection with any number of streams."""

    def __init__(self) -> None:
        self.local = self.remote = self.alpn = self.certificate = ""
        self.usable = False
        """Whether another stream may start on it."""
        self._transport: asyncio.Transport | None = None
        self._tls: ssl.SSLObject | None = None
        self._h2 = H2Connection(_CONFIG)
        self._streams: dict[int, Stream] = {}
        self._failed: Failed | None = None
        self._answered = False
        self._frames = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the preface."""
        self._transport = cast("asyncio.Transport", transport)
        self.local = name_of(transport.get_extra_info("sockname"))
        self._tls = tls_object(transport)
        self.alpn, self.certificate = tls.negotiated(self._tls)
        # As initial values: h2 announces these, and not what is changed before it announces.
        values = {SettingCodes.INITIAL_WINDOW_SIZE: _WINDOW, SettingCodes.ENABLE_PUSH: 0}
        self._h2.local_settings = Settings(client=True, initial_values=values)
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(_WINDOW)
        self.usable = True
        self.flush()

    def stream(self, headers: Sequence[tuple[bytes, bytes]], *, end: bool) -> Stream:
        """Start a request; raises Failed where the connection is gone."""
        if self._failed is not None:
            raise self._failed
        try:
            stream = Stream(self, self._h2.get_next_available_stream_id())
            self._h2.send_headers(stream.number, list(headers), end_stream=end)
        except H2Error as exc:
            raise Failed(Outcome.RESET, f"HTTP/2: {exc}") from exc
        self._streams[stream.number] = stream
        self.flush()
        return stream

    def push(self, stream: Stream) -> None:
        """Send what the flow control windows let through."""
        try:
            while stream.unsent and not stream.ended.done():
                window = self._h2.local_flow_control_window(stream.number)
                size = min(window, self._h2.max_outbound_frame_size, len(stream.unsent))
                if size <= 0:
                    break
                last = stream.half_closed and size == len(stream.unsent)
                self._h2.send_data(stream.number, bytes(stream.unsent[:size]), end_stream=last)
                del stream.unsent[:size]
                if last:
                    stream.half_closed = False
            if stream.half_closed and not stream.unsent and not stream.ended.done():
                self._h2.end_stream(stream.number)
                stream.half_closed = False
        except H2Error as exc:
            stream.fail(Failed(Outcome.RESET, f"HTTP/2: {exc}"))
        self.flush()

    def cancel(self, stream: Stream) -> None:
        """Reset a stream that nobody waits for."""
        if self._streams.pop(stream.number, None) is not None and self._failed is None:
            try:
                self._h2.reset_stream(stream.number, ErrorCodes.CANCEL)
            except H2Error:
                self.close()
            self.flush()

    def close(self) -> None:
        """Close it in good order."""
        self.usable = False
        if self._transport is not None and self._failed is None:
            try:
                self._h2.close_connection()
            except H2Error:
                self._transport.abort()
            self.flush()
            self._transport.close()

    shut = close

    def flush(self) -> None:
        """Write what h2 has to say."""
        data = self._h2.data_to_send()
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        """Feed h2."""
        if not self._answered and data.startswith(b"HTTP/1."):  # h2 takes it for the start of a long frame
            self._end(Failed(Outcome.RESET, f"not HTTP/2: {data[:80]!r}"))
            return
        self._answered = True
        try:
            for event in self._h2.receive_data(self._whole_frames(data)):
                self._take(event)
        except H2Error as exc:
            self._end(Failed(Outcome.RESET, f"not HTTP/2: {exc}: {data[:80]!r}"))
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """End every stream."""
        failed = Failed(Outcome.RESET, cause(exc)) if self._answered else tls.broken(exc, self._tls)
        self._end(failed)

    def _end(self, failed: Failed) -> None:
        self.usable = False
        self._failed = self._failed or failed
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.fail(self._failed)
        if self._transport is not None:
            self._transport.close()

    def _take(self, event: Event) -> None:
        if isinstance(event, WindowUpdated):
            waiting = [self._streams.get(event.stream_id)] if event.stream_id else [*self._streams.values()]
            for stream in filter(None, waiting):
                self.push(stream)
        elif isinstance(event, DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        if isinstance(event, ResponseReceived | DataReceived | TrailersReceived | StreamEnded | StreamReset):
            self._advance(event)

    def _advance(
        self, event: ResponseReceived | DataReceived | TrailersReceived | StreamEnded | StreamReset
    ) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is None:
            return
        if isinstance(event, ResponseReceived):
            stream.headers = tuple((bytes(name), bytes(value)) for name, value in event.headers)
        elif isinstance(event, DataReceived):
            stream.data.append(event.data)
        elif isinstance(event, TrailersReceived):
            stream.trailers = tuple((bytes(name), bytes(value)) for name, value in event.headers)
        elif isinstance(event, StreamEnded):
            del self._streams[event.stream_id]
            stream.finish()
        else:
            del self._streams[event.stream_id]
            stream.fail(Failed(Outcome.RESET, f"stream reset: {_code(event.error_code)}"))
        self._close_if_idle()

    def _whole_frames(self, data: bytes) -> bytes:
        """Whole frames for h2, without GOAWAY: h2 would end streams that the server still answers."""
        self._frames += data
        passed = bytearray()
        start = 0
        while start + 9 <= len(self._frames):
            end = start + 9 + int.from_bytes(self._frames[start : start + 3], "big")
            if end > len(self._frames):
                break
            if self._frames[start + 3] == _GOAWAY:
                self._go_away(bytes(self._frames[start + 9 : end]))
            else:
                passed += self._frames[start:end]
            start = end
        del self._frames[:start]
        return bytes(passed)

    def _go_away(self, payload: bytes) -> None:
        """Start no more streams; those that the server has not taken are over."""
        self.usable = False
        last, code = int.from_bytes(payload[:4], "big") & 0x7FFFFFFF, int.from_bytes(payload[4:8], "big")
        for number in [number for number in self._streams if number > last]:
            self._streams.pop(number).fail(Failed(Outcome.RESET, f"GOAWAY: {_code(code)}"))
        self._close_if_idle()

    def _close_if_idle(self) -> None:
        if not self.usable and not self._streams and self._transport is not None:
            self._transport.close()


def _code(code: ErrorCodes | int | None) -> str:
    return next((known.name for known in ErrorCodes if known == code), str(code))
