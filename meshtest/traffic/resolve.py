"""Names as a pod resolves them: its search domains, ndots 5, asked from its own network namespace."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING

from meshtest.traffic.model import Outcome
from meshtest.traffic.reply import Failed, cause

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest.traffic.netns import Namespaces

_NDOTS = 5
_PATIENCE = 2.0
"""Seconds before a query is sent again; a query or its answer may have been lost."""
_TRIES = 3
_LONGEST_CHAIN = 8


class Resolver:
    """Asks a DNS server over UDP; without one (unit tests) only addresses and `localhost` resolve."""

    def __init__(self, namespaces: Namespaces, server: str | None) -> None:
        self._namespaces = namespaces
        host, _, port = (server or "").partition(":")
        self._server = (host, int(port or 53)) if host else None

    async def resolve(self, caller: str, host: str) -> list[str]:
        """The IPv4 addresses of `host` as the pod `caller` sees it, at least one; raises Failed(UNRESOLVED)."""
        if is_address(host):
            return [host]
        if host.lower().rstrip(".") == "localhost":
            return ["127.0.0.1"]
        if self._server is None:
            raise Failed(Outcome.UNRESOLVED, f"{host}: no resolver")
        with self._namespaces.socket(caller, socket.SOCK_DGRAM) as sock:
            try:
                sock.connect(self._server)
                for name in candidates(host, caller.partition("/")[0]):
                    found = await _lookup(sock, name)
                    if found:
                        return found
            except OSError as exc:
                raise Failed(Outcome.UNRESOLVED, f"{host}: resolver: {cause(exc)}") from exc
        raise Failed(Outcome.UNRESOLVED, f"{host}: no such name")


def is_address(host: str) -> bool:
    """Whether it is an IPv4 address rather than a name."""
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def candidates(host: str, namespace: str) -> Iterator[str]:
    """The full names that are asked for, in the order of resolv.conf(5) as Kubernetes writes it."""
    if host.endswith("."):
        yield host
        return
    domains = (f"{namespace}.svc.cluster.local", "svc.cluster.local", "cluster.local")
    searched = [f"{host}.{domain}." for domain in domains]
    absolute = f"{host}."
    yield from [absolute, *searched] if host.count(".") >= _NDOTS else [*searched, absolute]


async def _lookup(sock: socket.socket, name: str) -> list[str]:
    for _ in range(_LONGEST_CHAIN):
        addresses, alias = await _ask(sock, name)
        if addresses or alias is None:
            return addresses
        name = alias
    return []


async def _ask(sock: socket.socket, name: str) -> tuple[list[str], str | None]:
    """Addresses, or the last CNAME that was named without any."""
    from dnslib import QTYPE, DNSError, DNSRecord  # noqa: PLC0415 - only where names are resolved

    try:
        query = DNSRecord.question(name)
        packet = query.pack()
    except (DNSError, UnicodeError):  # not a DNS name at all
        return [], None
    loop = asyncio.get_running_loop()
    for _ in range(_TRIES):
        await loop.sock_sendall(sock, packet)
        try:
            async with asyncio.timeout(_PATIENCE):
                answer = DNSRecord.parse(await loop.sock_recv(sock, 4096))
                while answer.header.id != query.header.id:  # late answer to an earlier query
                    answer = DNSRecord.parse(await loop.sock_recv(sock, 4096))
        except (TimeoutError, DNSError):
            continue
        addresses = [str(record.rdata) for record in answer.rr if record.rtype == QTYPE.A]
        aliases = [str(record.rdata) for record in answer.rr if record.rtype == QTYPE.CNAME]
        return addresses, aliases[-1] if aliases else None
    raise Failed(Outcome.UNRESOLVED, f"{name.rstrip('.')}: the resolver did not answer")
