"""Frames between meshtest's processes.

    4 bytes header length | 4 bytes payload length | header: a JSON object | payload: bytes

Requests carry `id` and `op`, replies echo `id` and may carry `error`; frames without `id` are events. The Go
engine speaks the same frames on its standard streams.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import queue
import struct
import threading
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Protocol

from meshtest.errors import RuntimeFailure

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

_LENGTHS = struct.Struct(">II")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One message: a small JSON header and opaque bytes."""

    header: dict[str, Any]
    payload: bytes = b""


def encode(header: dict[str, Any], payload: bytes = b"") -> bytes:
    """The bytes of one frame."""
    text = json.dumps(header, separators=(",", ":")).encode()
    return b"".join((_LENGTHS.pack(len(text), len(payload)), text, payload))


def read(stream: IO[bytes]) -> Frame | None:
    """The next frame of a blocking stream; None at its end."""
    head = stream.read(_LENGTHS.size)
    if head is None or len(head) < _LENGTHS.size:
        return None
    size, extra = _LENGTHS.unpack(head)
    body = stream.read(size + extra)
    if body is None or len(body) < size + extra:
        return None
    return Frame(header=json.loads(body[:size]), payload=bytes(body[size:]))


async def read_async(reader: asyncio.StreamReader) -> Frame | None:
    """The next frame of an asyncio stream; None at its end."""
    import asyncio  # noqa: PLC0415 - only the roles that run a loop need it

    try:
        size, extra = _LENGTHS.unpack(await reader.readexactly(_LENGTHS.size))
        body = await reader.readexactly(size + extra)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return Frame(header=json.loads(body[:size]), payload=body[size:])


async def serve(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    handle: Callable[[Frame], Awaitable[tuple[dict[str, Any], bytes]]],
) -> None:
    """Answer requests concurrently until the peer hangs up; a handler that raises answers `error`."""
    import asyncio  # noqa: PLC0415 - as above

    async def answer(frame: Frame) -> None:
        try:
            header, payload = await handle(frame)
        except Exception as exc:  # noqa: BLE001 - the caller gets it as its own error
            header, payload = {"error": {"kind": type(exc).__name__, "message": str(exc)}}, b""
        writer.write(encode({**header, "id": frame.header.get("id")}, payload))
        await writer.drain()

    tasks: set[asyncio.Task[None]] = set()
    while (frame := await read_async(reader)) is not None:
        task = asyncio.create_task(answer(frame))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    for task in tasks:
        task.cancel()


class Asking(Protocol):
    """Somebody who can be asked: a process behind a `Channel`, or several that share the work."""

    name: str

    def call(self, op: str, payload: bytes = b"", *, timeout: float, **fields: Any) -> Frame:
        """Ask and wait for the answer."""

    def start(self, op: str, payload: bytes = b"", **fields: Any) -> int:
        """Ask without waiting; `result` takes the ticket."""

    def result(self, ticket: int, *, timeout: float) -> Frame:
        """The answer to `start`."""


class Channel:
    """The asking side: thread-safe calls over one pair of blocking streams, answered in any order."""

    def __init__(
        self,
        name: str,
        reader: IO[bytes],
        writer: IO[bytes],
        *,
        on_event: Callable[[Frame], None] | None = None,
    ) -> None:
        self.name = name
        self._reader = reader
        self._writer = writer
        self._on_event = on_event
        self._ids = itertools.count(1)
        self._waiting: dict[int, queue.SimpleQueue[Frame | None]] = {}
        self._lock = threading.Lock()
        self._closed = False
        self.silent = ""
        """Why the peer answers nobody at present; whoever asks is told at once instead of waiting."""
        self.cause: RuntimeFailure | None = None
        """What the peer ended of, where that is known: said in place of its end."""
        self._thread = threading.Thread(target=self._pump, name=f"meshtest-{name}", daemon=True)
        self._thread.start()

    def call(self, op: str, payload: bytes = b"", *, timeout: float, **fields: Any) -> Frame:
        """Ask and wait for the answer; an `error` in it, a closed peer or a timeout raises RuntimeFailure."""
        return self.result(self.start(op, payload, **fields), timeout=timeout)

    def start(self, op: str, payload: bytes = b"", **fields: Any) -> int:
        """Ask without waiting; `result` takes the ticket."""
        if self.silent:
            raise RuntimeFailure(f"{self.name} cannot be asked for {op!r}: {self.silent}")
        ticket = next(self._ids)
        with self._lock:
            if self._closed:
                raise self.cause or RuntimeFailure(f"{self.name} has ended")
            self._waiting[ticket] = queue.SimpleQueue()
            try:
                self._writer.write(encode({"id": ticket, "op": op, **fields}, payload))
                self._writer.flush()
            except (OSError, ValueError) as exc:
                raise RuntimeFailure(f"{self.name} has ended: {exc}") from exc
        return ticket

    def result(self, ticket: int, *, timeout: float) -> Frame:
        """The answer to `start`."""
        try:
            frame = self._waiting[ticket].get(timeout=timeout)
        except queue.Empty:
            raise RuntimeFailure(f"{self.name} did not answer within {timeout:g} s") from None
        finally:
            self._waiting.pop(ticket, None)
        if frame is None:
            raise self.cause or RuntimeFailure(f"{self.name} ended before it answered")
        error = frame.header.get("error")
        if error:
            raise RemoteError(self.name, error)
        return frame

    def close(self) -> None:
        """Hang up; the peer sees the end of the stream."""
        with contextlib.suppress(OSError, ValueError):
            self._writer.close()

    def _pump(self) -> None:
        try:
            while (frame := read(self._reader)) is not None:
                ticket = frame.header.get("id")
                waiting = self._waiting.get(ticket) if isinstance(ticket, int) else None
                if waiting is not None:
                    waiting.put(frame)
                elif self._on_event is not None and ticket is None:
                    self._on_event(frame)
        except (OSError, ValueError):
            pass  # closed under the reader: the same as the end
        with self._lock:
            self._closed = True
            for waiting in list(self._waiting.values()):  # whoever gave up takes its own away meanwhile
                waiting.put(None)


class RemoteError(RuntimeFailure):
    """Raised when the other process answered with an error; `kind` is the name it gave, `details` all it said."""

    def __init__(self, peer: str, details: dict[str, Any]) -> None:
        self.kind = str(details.get("kind", ""))
        self.message = str(details.get("message", details))
        self.details = details
        super().__init__(f"{peer}: {self.message}")
