"""Docker's attach and exec streams as ordinary ones.

    8 bytes: which of stdout and stderr, length │ payload        (docs: Docker Engine API, ContainerAttach)

A `Line` stays the same while containers behind it come and go, as a channel to a process that is started again must.
"""

from __future__ import annotations

import contextlib
import io
import socket
import struct
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from meshtest.wire import Channel

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.errors import RuntimeFailure
    from meshtest.wire import Frame

_HEADER = struct.Struct(">BxxxI")
_STDERR = 2
_TAIL = 200


class Connection(Protocol):
    """What an attach stream offers."""

    def send(self, data: bytes) -> None:
        """Write all of it."""

    def receive(self, size: int) -> bytes:
        """Read some; empty at the end."""

    def close(self) -> None:
        """Hang up."""


class Attached:
    """The SDK's idea of a hijacked connection: a raw socket, wrapped or not, by transport."""

    def __init__(self, found: Any) -> None:
        self._owner = found
        self._socket: Any = getattr(found, "_sock", found)
        with contextlib.suppress(AttributeError, OSError):
            self._socket.settimeout(None)

    def send(self, data: bytes) -> None:
        """Write all of it."""
        self._socket.sendall(data)

    def receive(self, size: int) -> bytes:
        """Read some; empty at the end."""
        return bytes(self._socket.recv(size))

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError, AttributeError):
            self._socket.shutdown(socket.SHUT_RDWR)
        # The SDK hands out a reader of the socket and keeps the response beside it; each holds the socket open.
        holders: tuple[Any, ...] = (self._owner, getattr(self._owner, "_response", None), self._socket)
        for holder in holders:
            with contextlib.suppress(OSError, AttributeError, ValueError):
                holder.close()


class Line(io.RawIOBase):
    """Standard output of a process to read, its standard input to write, its standard error as last lines."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: deque[bytes] = deque(maxlen=_TAIL)
        self._changed = threading.Condition()
        self._stream: Connection | None = None
        self._left = 0
        self._over = False
        self._unsent = bytearray()
        self.on_end: Callable[[], None] = lambda: None

    def connect(self, stream: Connection) -> None:
        """Go on with another stream; one that comes too late is closed."""
        with self._changed:
            if not self._over:
                with contextlib.suppress(OSError):  # whoever reads will notice
                    stream.send(bytes(self._unsent))
                self._unsent.clear()
                self._stream, self._left = stream, 0
                self._changed.notify_all()
                return
        stream.close()

    def readable(self) -> bool:
        """It is."""
        return True

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: object) -> int:
        """Send to the process, or keep it for the next one."""
        raw = bytes(data)  # type: ignore[call-overload]
        with self._changed:
            if self._over:
                raise ValueError("the line is closed")
            stream = self._stream
            if stream is None:
                self._unsent += raw
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.send(raw)
        return len(raw)

    def readinto(self, buffer: object) -> int:
        """Wait for output."""
        view = memoryview(buffer)  # type: ignore[arg-type]
        while True:
            stream = self._wait()
            if stream is None:
                return 0
            try:
                found = self._some(stream, len(view))
            except OSError:
                found = b""
            if found:
                view[: len(found)] = found
                return len(found)
            self._lost(stream)

    def hang_up(self) -> None:
        """End it for good."""
        with self._changed:
            self._over = True
            stream, self._stream = self._stream, None
            self._changed.notify_all()
        if stream is not None:
            stream.close()

    def _wait(self) -> Connection | None:
        with self._changed:
            while self._stream is None and not self._over:
                self._changed.wait()
            return self._stream

    def _lost(self, stream: Connection) -> None:
        with self._changed:
            if self._stream is stream:
                self._stream = None
            over = self._over
        stream.close()
        if not over:
            self.on_end()

    def _some(self, stream: Connection, most: int) -> bytes:
        while self._left == 0:
            head = _exactly(stream, _HEADER.size)
            if not head:
                return b""
            kind, size = _HEADER.unpack(head)
            if kind == _STDERR:
                self.errors.append(_exactly(stream, size))
            else:
                self._left = size
        found = stream.receive(min(most, self._left))
        self._left -= len(found)
        return found


def channel(
    name: str,
    line: Line,
    on_event: Callable[[Frame], None] | None = None,
    *,
    cause: Callable[[], RuntimeFailure | None] | None = None,
) -> Channel:
    """Ask the process behind a line; with a `cause`, which says what it ended of if known, for one life only."""
    made = Channel(name, io.BufferedReader(line), io.BufferedWriter(line), on_event=on_event)

    def ended() -> None:
        made.cause = cause() if cause else None
        line.hang_up()

    if cause is not None:
        line.on_end = ended
    return made


def _exactly(stream: Connection, size: int) -> bytes:
    parts = b""
    while len(parts) < size:
        found = stream.receive(size - len(parts))
        if not found:
            return b""
        parts += found
    return parts
