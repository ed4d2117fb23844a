"""TLS of the application's own: terminates it and talks another protocol inside.

    socket transport ──data──► Tls ──SSLObject over memory──► inner protocol
                     ◄──write── Tls ◄──────── Inner (a transport) ◄──┘

Bytes read before it was known to be TLS are fed in like all others, which asyncio's own TLS does not offer.
"""

# ruff: noqa: D102 - asyncio's callbacks
from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING, Any

from meshtest.standin.base import Talk
from meshtest.standin.facts import TLS_FACTS, TlsFacts

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.standin.certificates import TlsPort
    from meshtest.standin.service import Service

_READ = 1 << 16


class Inner(asyncio.Transport):
    """The transport that the protocol inside TLS writes to."""

    def __init__(self, tls: Tls, outer: asyncio.Transport, facts: TlsFacts) -> None:
        super().__init__()
        self._tls = tls
        self._outer = outer
        self._facts = facts
        self._closing = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._facts if name == TLS_FACTS else self._outer.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)  # noqa: S101 - for the type checker
        self._tls.inside = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self._tls.inside is not None  # noqa: S101 - a transport is made with its protocol
        return self._tls.inside

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._closing and data:
            self._tls.encrypt(bytes(data))

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._tls.end()

    def abort(self) -> None:
        self._closing = True
        self._outer.abort()

    def is_closing(self) -> bool:
        return self._closing or self._outer.is_closing()

    def can_write_eof(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self._outer.pause_reading()

    def resume_reading(self) -> None:
        self._outer.resume_reading()

    def get_write_buffer_size(self) -> int:
        return self._outer.get_write_buffer_size()


class Tls(Talk):
    """One connection; a handshake that fails ends it with TLS's own alert."""

    def __init__(self, service: Service, port: TlsPort, inside: Callable[[], asyncio.Protocol]) -> None:
        super().__init__(service)
        self._port = port
        self._make_inside = inside
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._ssl = port.context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.inside: asyncio.Protocol | None = None

    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)
        try:
            if self.inside is None:
                self._ssl.do_handshake()
                self._begin()
            self._read()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError:
            self._flush()  # the alert that says why
            self._transport.close()

    def eof_received(self) -> bool | None:
        return None if self.inside is None else self._eof(self.inside)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.inside is not None:
            self.inside.connection_lost(exc)

    def pause_writing(self) -> None:
        if self.inside is not None:
            self.inside.pause_writing()

    def resume_writing(self) -> None:
        if self.inside is not None:
            self.inside.resume_writing()

    def encrypt(self, data: bytes) -> None:
        """Send what the protocol inside writes."""
        self._ssl.write(data)
        self._flush()

    def end(self) -> None:
        """Say goodbye as TLS does, without waiting for the other side's."""
        with contextlib.suppress(ssl.SSLError):  # the client's close_notify is not here yet, or never comes
            self._ssl.unwrap()
        self._flush()
        self._transport.close()

    def _begin(self) -> None:
        facts = self._port.facts(self._ssl)
        self._flush()
        inner = Inner(self, self._transport, facts)
        self.inside = self._make_inside()
        self.inside.connection_made(inner)

    def _read(self) -> None:
        while self.inside is not None:
            data = self._ssl.read(_READ)
            if not data:
                self._flush()
                if not self._eof(self.inside):
                    self._transport.close()
                return
            self.inside.data_received(data)

    def _eof(self, inside: asyncio.Protocol) -> bool:
        keep = bool(inside.eof_received())
        if not keep:
            self.end()
        return keep

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data and not self._transport.is_closing():
            self._transport.write(data)
