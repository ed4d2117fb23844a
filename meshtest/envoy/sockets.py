"""HTTP/1.1 over an Envoy's own Unix sockets: its admin interface and its probe listener.

Connections stay open: an update asks each of them once or twice, and shall cost milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass

_CREDENTIALS = struct.Struct("iII")
"""`struct ucred` (man 7 unix): process, user, group."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a body."""

    status: int
    body: bytes


class UnixHttp:
    """A client of one Unix socket, one request at a time."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._lock = asyncio.Lock()

    async def ask(self, target: str, method: str = "GET") -> Answer:
        """One request; a connection that has ended meanwhile is opened anew."""
        async with self._lock:
            if self._streams is not None:
                with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError):
                    return await self._exchange(target, method)
                self.close()
            return await self._exchange(target, method)

    def process(self) -> int | None:
        """The process that listens there, where there is a connection and the process can be seen from here."""
        own = self._streams[1].get_extra_info("socket") if self._streams is not None else None
        if own is None:
            return None
        told = own.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        return int(_CREDENTIALS.unpack(told)[0]) or None

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _exchange(self, target: str, method: str) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_unix_connection(self._path, limit=1 << 26)
        reader, writer = self._streams
        length = "Content-Length: 0\r\n" if method != "GET" else ""
        writer.write(f"{method} {target} HTTP/1.1\r\nHost: envoy\r\n{length}\r\n".encode())
        try:
            return await _read_answer(reader)
        except asyncio.CancelledError:
            self.close()
            raise


async def _read_answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split(" ", 2)[1])
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
    if headers.get("transfer-encoding") == "chunked":
        return Answer(status, await _chunks(reader))
    return Answer(status, await reader.readexactly(int(headers.get("content-length", "0"))))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    while size := int(await reader.readline(), 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(parts)
