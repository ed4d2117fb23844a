"""Netlink's framing: messages of nested attributes, sent in batches.

Written here because loading a netlink library takes longer (130 ms) than building the whole network (20 ms).
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

ROUTE = 0
NETFILTER = 12

REQUEST = 0x1
REPLACE = 0x100
EXCLUSIVE = 0x200
CREATE = 0x400
APPEND = 0x800
DUMP = 0x300

_NESTED = 0x8000
_KIND = 0x3FFF
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_CHUNK = 96 * 1024


class NetlinkError(OSError):
    """Raised when the kernel refused a message; `index` is its place in the batch."""

    def __init__(self, number: int, index: int, what: str) -> None:
        self.index = index
        super().__init__(number, f"netlink refused {what}: {os.strerror(number)}")


class Message:
    """A message without its sequence number; `label` says in errors what it was for."""

    __slots__ = ("body", "flags", "kind", "label")

    def __init__(self, kind: int, flags: int, body: bytes, label: str) -> None:
        self.kind = kind
        self.flags = flags
        self.body = body
        self.label = label

    def encode(self, sequence: int) -> bytes:
        """Its bytes, padded."""
        size = _HEADER.size + len(self.body)
        return _HEADER.pack(size, self.kind, REQUEST | self.flags, sequence, 0) + self.body + _padding(size)


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded."""
    size = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(size, kind) + value + _padding(size)


def nested(kind: int, *values: bytes) -> bytes:
    """An attribute made of attributes."""
    return attribute(kind | _NESTED, b"".join(values))


def text(kind: int, value: str) -> bytes:
    """A zero-terminated string."""
    return attribute(kind, value.encode() + b"\0")


def native(kind: int, value: int) -> bytes:
    """A 32-bit number in this machine's byte order."""
    return attribute(kind, struct.pack("=I", value))


def network(kind: int, value: int) -> bytes:
    """A 32-bit number in network byte order."""
    return attribute(kind, struct.pack(">I", value))


def attributes(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes that were packed one after the other."""
    offset = 0
    while offset + _ATTRIBUTE.size <= len(raw):
        size, kind = _ATTRIBUTE.unpack_from(raw, offset)
        yield kind & _KIND, raw[offset + _ATTRIBUTE.size : offset + size]
        offset += size + -size % 4


def _padding(size: int) -> bytes:
    return bytes(-size % 4)


def encode(messages: Sequence[Message]) -> bytes:
    """The bytes of a batch; a message's sequence number is its place in it."""
    return b"".join(message.encode(index) for index, message in enumerate(messages))


def bodies(data: bytes, label: str) -> Iterator[bytes]:
    """The bodies of what the kernel listed; raises where it refused to."""
    for kind, _, body in _parts(data):
        if kind == _ERROR:
            raise NetlinkError(-struct.unpack_from("=i", body)[0], 0, label)
        if kind != _DONE:
            yield body


def _parts(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Kind, sequence number and body of every message that the kernel sent."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        size, kind, _, sequence, _ = _HEADER.unpack_from(data, offset)
        yield kind, sequence, data[offset + _HEADER.size : offset + size]
        offset += size + -size % 4


class Netlink:
    """A socket of the network namespace that the process is in when it is made."""

    def __init__(self, protocol: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.bind((0, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, messages: Sequence[Message]) -> None:
        """Send messages in few system calls; the first that is refused raises.

        The kernel works a request off before sendmsg returns, and answers without being asked only to say no.
        """
        chunk: list[bytes] = []
        size = 0
        for index, message in enumerate(messages):
            raw = message.encode(index)
            if chunk and size + len(raw) > _CHUNK:
                self._transmit(chunk, messages)
                chunk, size = [], 0
            chunk.append(raw)
            size += len(raw)
        self._transmit(chunk, messages)

    def send_whole(self, messages: Sequence[Message]) -> None:
        """Send messages in exactly one system call, as a transaction needs."""
        self._transmit([encode(messages)], messages)

    def dump(self, message: Message) -> Iterator[bytes]:
        """The bodies of all that the kernel lists in answer to a message."""
        self._socket.send(message.encode(0))
        while True:
            data = self._socket.recv(1 << 20)
            yield from bodies(data, message.label)
            if any(kind == _DONE for kind, _, _ in _parts(data)):
                return

    def _transmit(self, raw: Iterable[bytes], messages: Sequence[Message]) -> None:
        self._socket.send(b"".join(raw))
        refused = [found for found in self._errors() if found[1]]
        if refused:
            index, number = refused[0]
            raise NetlinkError(number, index, messages[index].label)

    def _errors(self) -> Iterable[tuple[int, int]]:
        while True:
            try:
                data = self._socket.recv(65536, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError as exc:
                if exc.errno != errno.ENOBUFS:
                    raise
                continue
            for kind, sequence, body in _parts(data):
                if kind == _ERROR:
                    yield sequence, -struct.unpack_from("=i", body)[0]
