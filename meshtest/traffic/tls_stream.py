"""TLS on a plain asyncio transport, so that nothing a server says about a handshake is lost.

    application protocol ◄──► TlsTransport ── SSLObject + two BIOs ──► TlsStream ◄──► asyncio's transport

asyncio's own TLS drops what is still unread when a write fails. That is where the alert stands with which a server
refuses a TLS 1.3 client certificate: it closes at once, so the request right behind the handshake meets a reset.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK = 65536


class TlsStream(asyncio.Protocol):
    """One TLS client connection; `ready` is the application's protocol, or why the handshake failed."""

    def __init__(self, context: ssl.SSLContext, name: str, make: Callable[[], asyncio.Protocol]) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name or None)
        self.ready: asyncio.Future[asyncio.Protocol] = asyncio.get_running_loop().create_future()
        self.raw: asyncio.Transport | None = None
        self.app: asyncio.Protocol | None = None
        self._make = make
        self._over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self.raw = cast("asyncio.Transport", transport)
        self._handshake()

    def data_received(self, data: bytes) -> None:
        """Go on with the handshake, or with what the application reads."""
        self._incoming.write(data)
        if self.app is None:
            self._handshake()
        else:
            self._read()

    def connection_lost(self, exc: Exception | None) -> None:
        """End it, after a last look at what the other side said."""
        if exc is not None:
            self._take_unread()
        if self.app is None:
            self._incoming.write_eof()
            self._handshake()
            self._fail(exc or ConnectionResetError("closed by the peer in the handshake"))
        else:
            self._read()
            self.end(exc)

    def write(self, data: bytes) -> None:
        """Encrypt and send."""
        if self._over:
            return
        try:
            self.tls.write(data)
        except ssl.SSLError as exc:
            self.end(exc)
        self.flush()

    def close(self) -> None:
        """Say goodbye and close."""
        if not self._over:
            with contextlib.suppress(ssl.SSLError, OSError):  # the answer to it is not waited for
                self.tls.unwrap()
            self.flush()
        cast("asyncio.Transport", self.raw).close()

    def flush(self) -> None:
        """Send what OpenSSL has to say."""
        data = self._outgoing.read()
        raw = cast("asyncio.Transport", self.raw)
        if data and not raw.is_closing():
            raw.write(data)

    def end(self, exc: BaseException | None) -> None:
        """Tell the application, once."""
        if not self._over:
            self._over = True
            cast("asyncio.Protocol", self.app).connection_lost(cast("Exception | None", exc))
            cast("asyncio.Transport", self.raw).close()

    def _handshake(self) -> None:
        if self.ready.done():
            return
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            self.flush()
        except OSError as exc:  # ssl.SSLError is one
            self.flush()
            self._fail(exc)
        else:
            self.flush()
            self.app = self._make()
            self.app.connection_made(TlsTransport(self))
            self.ready.set_result(self.app)
            self._read()

    def _fail(self, exc: BaseException) -> None:
        if not self.ready.done():
            self.ready.set_exception(exc)
            cast("asyncio.Transport", self.raw).close()

    def _read(self) -> None:
        while not self._over:
            try:
                data = self.tls.read(_CHUNK)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                self.end(None)
                break
            except OSError as exc:
                self.end(exc)
                break
            if not data:
                self.end(None)
                break
            cast("asyncio.Protocol", self.app).data_received(data)
        self.flush()

    def _take_unread(self) -> None:
        """Read what had arrived before the reset; asyncio's transport does not any more."""
        sock = cast("asyncio.Transport", self.raw).get_extra_info("socket")
        with contextlib.suppress(OSError), sock.dup() as again:
            again.setblocking(False)  # noqa: FBT003 - positional-only
            while data := again.recv(_CHUNK):
                self._incoming.write(data)


class TlsTransport(asyncio.Transport):
    """What the application's protocol gets for a transport."""

    def __init__(self, stream: TlsStream) -> None:
        super().__init__()
        self._stream = stream

    @property
    def _raw(self) -> asyncio.Transport:
        return cast("asyncio.Transport", self._stream.raw)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send."""
        self._stream.write(bytes(data))

    def close(self) -> None:
        """Say goodbye and close."""
        self._stream.close()

    def abort(self) -> None:
        """Close at once."""
        self._raw.abort()

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._raw.is_closing()

    def can_write_eof(self) -> bool:
        """TLS has no half-close."""
        return False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let another protocol go on."""
        self._stream.app = cast("asyncio.Protocol", protocol)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As asyncio's transports, with `ssl_object`."""
        return self._stream.tls if name == "ssl_object" else self._raw.get_extra_info(name, default)
