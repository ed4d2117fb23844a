"""Links, addresses and routes of the sandbox's network, as rtnetlink messages.

    pod: eth0 10.244.x.y/32, default via 169.254.1.1 ──veth── router: route 10.244.x.y/32, DNAT of cluster IPs

Routed and not bridged, so that the router's address translation sees both directions of every connection.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from meshtest.runtime.netns import netlink
from meshtest.runtime.netns.netlink import Message, attribute, native, nested, text

if TYPE_CHECKING:
    from collections.abc import Iterable

RESOLVER = "10.96.0.10"
NODE = "172.18.0.1"
"""The router's own address: where hairpin connections and callers outside of every pod come from."""

_GATEWAY = "169.254.1.1"
_ANYWHERE = "0.0.0.0"  # noqa: S104 - a destination
_LOOPBACK = 1
ETH0 = 2
_FIRST_VETH = 16
_UP = 1
_ONLINK = 4
_PERMANENT = 0x80
_TABLE_MAIN = 254
_UNICAST, _LOCAL = 1, 2
_SCOPE_GLOBAL, _SCOPE_LINK, _SCOPE_HOST = 0, 253, 254


def pod_messages(ip: str, number: int, router: int) -> list[Message]:
    """Build a pod's side: loopback, a veth pair to `router`, address, route."""
    return [
        _up(_LOOPBACK),
        _veth(number, router),
        _address(ETH0, ip),
        _neighbour(ETH0, _GATEWAY, _mac(1, number)),
        _route(_ANYWHERE, 0, ETH0, gateway=_GATEWAY),
    ]


def attach_messages(ip: str, number: int) -> list[Message]:
    """Build the router's side of a pod."""
    index = _FIRST_VETH + number
    return [
        _up(index),
        _neighbour(index, ip, _mac(0, number)),
        _route(ip, 32, index, scope=_SCOPE_LINK, source=NODE),
    ]


def detach_messages(number: int) -> list[Message]:
    """Take a pod's veth pair away, and with it routes and neighbours."""
    return [Message(17, 0, _link_header(_FIRST_VETH + number), "link removal")]


def router_messages() -> list[Message]:
    """Build the router's own addresses; it also holds every address that is no pod's.

    What is not translated to a pod then ends here, where nothing listens: a connection to a cluster IP without
    backends, to a pod that is gone or to the outside is refused at once, and never waits for a timeout.
    """
    everything = everything_here(source=NODE)
    return [_up(_LOOPBACK), _address(_LOOPBACK, NODE), _address(_LOOPBACK, _GATEWAY), everything]


def everything_here(table: int = _TABLE_MAIN, source: str = "") -> Message:
    """Take every address for one of this host's own, by this routing table."""
    return _route(_ANYWHERE, 0, _LOOPBACK, kind=_LOCAL, scope=_SCOPE_HOST, source=source, table=table)


def allow_forwarding(numbers: Iterable[int]) -> None:
    """Let the router forward: by /proc if it is writable, else link by link."""
    try:
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    except OSError:
        with netlink.Netlink(netlink.ROUTE) as route:
            route.send([_forwarding(_FIRST_VETH + number) for number in numbers])


def forget_closed_connections_soon() -> None:
    """Have this network namespace remember closed connections for ten seconds, not for two minutes.

    A redirect makes two connections from one port to different addresses alike; the kernel then gives the later one
    another port, also where the former was closed minutes ago. Ten seconds are enough for every packet that comes after
    the kernel takes a connection for closed: none of those would find its way, and one end would stay open for good.
    """
    with contextlib.suppress(OSError):  # where /proc is not writable it stays as in a cluster
        Path("/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait").write_text("10")


def veth_index(number: int) -> int:
    """The router's end of a pod's link."""
    return _FIRST_VETH + number


def _up(index: int) -> Message:
    return Message(16, 0, _link_header(index, _UP), f"link {index}")


def _link_header(index: int, flags: int = 0) -> bytes:
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flags, flags)


def _veth(number: int, router: int) -> Message:
    index = _FIRST_VETH + number
    peer = b"".join(
        (
            _link_header(index),
            text(3, f"veth{number}"),
            attribute(1, _mac(1, number)),
            native(28, router),
        )
    )
    body = b"".join(
        (
            _link_header(ETH0, _UP),
            text(3, "eth0"),
            attribute(1, _mac(0, number)),
            nested(18, text(1, "veth"), nested(2, nested(1, peer))),
        )
    )
    return Message(16, netlink.CREATE | netlink.EXCLUSIVE, body, f"veth{number}")


def _mac(side: int, number: int) -> bytes:
    return struct.pack(">BBI", 0x02, side, number)


def _address(index: int, ip: str) -> Message:
    raw = socket.inet_aton(ip)
    body = (
        struct.pack("=BBBBI", socket.AF_INET, 32, 0, _SCOPE_GLOBAL, index)
        + attribute(2, raw)
        + attribute(1, raw)
    )
    return Message(20, netlink.CREATE | netlink.REPLACE, body, f"address {ip}")


def _neighbour(index: int, ip: str, mac: bytes) -> Message:
    header = struct.pack("=BxxxiHBB", socket.AF_INET, index, _PERMANENT, 0, 0)
    body = header + attribute(1, socket.inet_aton(ip)) + attribute(2, mac)
    return Message(28, netlink.CREATE | netlink.REPLACE, body, f"neighbour {ip}")


def _route(
    destination: str,
    bits: int,
    index: int,
    *,
    gateway: str = "",
    kind: int = _UNICAST,
    scope: int = _SCOPE_GLOBAL,
    source: str = "",
    table: int = _TABLE_MAIN,
) -> Message:
    flags = _ONLINK if gateway else 0
    body = struct.pack("=BBBBBBBBI", socket.AF_INET, bits, 0, 0, table, 4, scope, kind, flags) + native(
        4, index
    )
    if bits:
        body += attribute(1, socket.inet_aton(destination))
    if gateway:
        body += attribute(5, socket.inet_aton(gateway))
    if source:
        body += attribute(7, socket.inet_aton(source))
    return Message(24, netlink.CREATE | netlink.REPLACE, body, f"route {destination}/{bits}")


def _forwarding(index: int) -> Message:
    settings = nested(26, nested(socket.AF_INET, nested(1, native(1, 1))))
    return Message(19, 0, _link_header(index) + settings, "forwarding")


def namespace_descriptor(kind: str) -> int:
    """Open this process's namespace of a kind."""
    return os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
