"""What is known of a connection and of a request, and what is decided about it: values without behaviour."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping, Sequence

TLS_FACTS = "meshtest.tls"
"""`transport.get_extra_info` key under which a TLS transport keeps its TlsFacts."""

_NO_LINGER = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFacts:
    """What a TLS handshake settled."""

    sni: str = ""
    alpn: str = ""
    version: str = ""
    client_certificate: Mapping[str, Any] | None = None
    """`subject` and `san` of a verified client certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Who is at the other end; `prefix` is what all answers on this connection begin with."""

    peer: str
    port: int
    local: bool
    """From 127.0.0.1: inside the pod, and not through its sidecar, which comes from 127.0.0.6."""
    prefix: str
    facts: Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class Received:
    """A request, as read.

    Not frozen: one is made per request on the hot path, and HTTP/2 fills in the body when it has come.
    """

    connection: Connection
    method: str
    path: str
    host: str
    protocol: str
    headers: dict[str, list[str]]
    """Lower-case names; bytes beyond ASCII are read as Latin-1."""
    body: bytes = b""
    size: int = 0
    """Length of the body; more than `len(body)` when it was too long to keep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """How a request is answered."""

    status: int = 200
    reset: bool = False
    grpc_status: int | None = None
    calls: Sequence[Mapping[str, Any]] | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    """Sent instead of the description of the request."""


def reset(transport: asyncio.Transport) -> None:
    """End a connection with a TCP reset instead of an orderly close."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()
