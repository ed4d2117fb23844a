"""From a caller and a request to an open connection in the caller's pod."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, TypeVar, cast

from meshtest.mesh.proxy_protocol import header
from meshtest.traffic import tls
from meshtest.traffic.model import Outcome
from meshtest.traffic.reply import Failed, cause
from meshtest.traffic.source_ports import SourcePorts
from meshtest.traffic.tls_stream import TlsStream

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Sequence

    from meshtest.traffic.model import Request
    from meshtest.traffic.netns import Namespaces
    from meshtest.traffic.reply import Trail
    from meshtest.traffic.resolve import Resolver
    from meshtest.traffic.target import Target

    Address = tuple[str, int]

P = TypeVar("P", bound=asyncio.Protocol)


class Network:
    """The pods' side of the network: names and connections as a pod has them."""

    def __init__(self, namespaces: Namespaces, resolver: Resolver) -> None:
        self._namespaces = namespaces
        self._resolver = resolver
        self._ports = SourcePorts()

    async def addresses(self, caller: str, request: Request, target: Target) -> tuple[Address, ...]:
        """Where the request may connect to, in the order in which the resolver named it."""
        hosts = await self._resolver.resolve(caller, request.address or target.host)
        return tuple((host, target.port) for host in hosts)

    async def reach(
        self, caller: str, addresses: Sequence[Address], trail: Trail, proxied: str = ""
    ) -> socket.socket:
        """A TCP connection to the first of the addresses that takes one; raises Failed.

        The trail learns whose turn it is, so that it knows where a connection was lost. A connection that is passed
        on for others says so first (`Request.proxy_protocol`).
        """
        sock = await self._first(caller, addresses, trail)
        if proxied:
            try:
                await asyncio.get_running_loop().sock_sendall(sock, header(proxied, sock.getpeername()[:2]))
            except OSError as exc:
                sock.close()
                raise Failed(Outcome.RESET, cause(exc)) from exc
        return sock

    async def _first(self, caller: str, addresses: Sequence[Address], trail: Trail) -> socket.socket:
        *others, last = addresses
        for address in others:
            trail.remote = name_of(address)
            with contextlib.suppress(Failed):
                return await self.dial(caller, address)
        trail.remote = name_of(last)
        return await self.dial(caller, last)

    async def dial(self, caller: str, address: Address) -> socket.socket:
        """A TCP connection from the pod `caller`; raises Failed."""
        sock = self._namespaces.socket(caller)
        try:
            self._ports.bind(sock, caller)
            await asyncio.get_running_loop().sock_connect(sock, address)
        except OSError as exc:
            sock.close()
            outcome = Outcome.TIMEOUT if isinstance(exc, TimeoutError) else Outcome.REFUSED
            raise Failed(outcome, cause(exc)) from exc
        except BaseException:
            sock.close()
            raise
        return sock


def name_of(address: Address) -> str:
    """`ip:port`, as access logs write it."""
    return f"{address[0]}:{address[1]}"


async def wrap(sock: socket.socket, make: Callable[[], P], secure: Secure | None) -> P:
    """Put a protocol on a connected socket, with TLS where asked; raises Failed."""
    loop = asyncio.get_running_loop()
    try:
        if secure is None:
            _, protocol = await loop.create_connection(make, sock=sock)
            return protocol
        raw, stream = await loop.create_connection(
            lambda: TlsStream(secure.context, secure.name, make), sock=sock
        )
        try:
            return cast("P", await stream.ready)
        except asyncio.CancelledError:
            raw.abort()
            raise
    except OSError as exc:  # ssl.SSLError is one
        outcome = Outcome.RESET if secure is None else Outcome.HANDSHAKE_FAILURE
        raise Failed(outcome, cause(exc)) from exc


class Secure:
    """The TLS of a request: one context for all its connections."""

    __slots__ = ("context", "name")

    def __init__(self, request: Request, target: Target) -> None:
        self.context = tls.context_of(request)
        self.name = tls.server_name(request, target)

    @classmethod
    def of(cls, request: Request, target: Target) -> Secure | None:
        """None for plaintext."""
        return cls(request, target) if target.secure else None


def tls_object(transport: asyncio.BaseTransport | None) -> ssl.SSLObject | None:
    """The TLS state under a transport, if any."""
    return transport.get_extra_info("ssl_object") if transport is not None else None
