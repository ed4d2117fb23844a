"""The frames of `meshtest.wire` on a non-blocking socket: what came so far, cut into frames."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

_LENGTHS = struct.Struct(">II")
_READ = 1 << 20


class FrameSocket:
    """One end of a socketpair that speaks frames; reading never blocks, writing may."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._buffer = bytearray()

    def send(self, header: dict[str, Any]) -> None:
        """Write a frame without payload."""
        text = json.dumps(header, separators=(",", ":")).encode()
        self.socket.sendall(_LENGTHS.pack(len(text), 0) + text)

    def receive(self, *, wait: bool = False) -> bool:
        """Take what has arrived; False at the end of the stream."""
        import socket  # noqa: PLC0415 - loaded already; at the top it would be an import for one constant

        try:
            found = self.socket.recv(_READ, 0 if wait else socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        self._buffer += found
        return bool(found)

    def has_news(self) -> bool:
        """Whether something has arrived, or the end of the stream."""
        import select  # noqa: PLC0415 - for the one who asks this, once

        return bool(self._buffer or select.select([self.socket], [], [], 0)[0])

    def frames(self) -> Iterator[dict[str, Any]]:
        """The headers of the complete frames received."""
        while len(self._buffer) >= _LENGTHS.size:
            size, extra = _LENGTHS.unpack_from(self._buffer)
            end = _LENGTHS.size + size + extra
            if len(self._buffer) < end:
                return
            text = bytes(self._buffer[_LENGTHS.size : _LENGTHS.size + size])
            del self._buffer[:end]
            yield json.loads(text)
