"""nftables in netlink's own terms: matches, rules, chains, and one transaction for all of them."""

from __future__ import annotations

import socket
import struct
from enum import IntEnum
from typing import TYPE_CHECKING

from meshtest.runtime.netns import netlink
from meshtest.runtime.netns.expressions import (
    LESS,
    REGISTER,
    SECOND,
    Meta,
    address,
    compare,
    expression,
    immediate,
    meta,
    payload,
    verdict,
)
from meshtest.runtime.netns.netlink import Message, attribute, nested, network, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Rule = tuple[bytes, ...]
"""The expressions of a rule, in order."""


class Hook(IntEnum):
    """Where a base chain is called."""

    PREROUTING = 0
    FORWARD = 2
    OUTPUT = 3
    POSTROUTING = 4


SUBSYSTEM = 10
_NEW_TABLE, _NEW_CHAIN, _DELETE_CHAIN, _NEW_RULE, _DELETE_RULE = 0, 3, 5, 6, 8
_BEGIN, _END = 0x10, 0x11
_DSTNAT, _SRCNAT = -100, 100
RAW, MANGLE, FILTER = -300, -150, 0
"""Priorities: before connections are tracked, before addresses are translated, and where packets are filtered."""
_DROP, _RETURN, _JUMP, _GOTO = 0, -5, -3, -4
_LOOPBACK = 1
_PORT_UNREACHABLE = 3
_LARGEST = 180_000
_OVERHEAD = 20


def tcp() -> bytes:
    """Match TCP."""
    return meta(Meta.L4PROTO) + compare(bytes([socket.IPPROTO_TCP]))


def udp() -> bytes:
    """Match UDP."""
    return meta(Meta.L4PROTO) + compare(bytes([socket.IPPROTO_UDP]))


def to_port(port: int, *, negate: bool = False) -> bytes:
    """Match the destination port of TCP or UDP."""
    return payload(2, 2, 2) + compare(struct.pack(">H", port), negate=negate)


def to_address(cidr: str, *, negate: bool = False) -> bytes:
    """Match a destination address or range."""
    return address(16, cidr, negate=negate)


def from_address(cidr: str) -> bytes:
    """Match a source address or range."""
    return address(12, cidr, negate=False)


def marked(mark: int, *, negate: bool = False) -> bytes:
    """Match the mark of the sending socket."""
    return meta(Meta.MARK) + compare(struct.pack("=I", mark), negate=negate)


def sent_by(uid: int, negate: bool = False) -> bytes:  # noqa: FBT001, FBT002 - the shape of `rules.Proxy`
    """Match the owner of the sending socket."""
    return meta(Meta.SKUID) + compare(struct.pack("=I", uid), negate=negate)


def to_loopback() -> bytes:
    """Match what leaves by lo."""
    return meta(Meta.OIF) + compare(struct.pack("=I", _LOOPBACK))


def from_loopback() -> bytes:
    """Match what came in by lo."""
    return meta(Meta.IIF) + compare(struct.pack("=I", _LOOPBACK))


def from_outside() -> bytes:
    """Match what did not come in by lo."""
    return meta(Meta.IIF) + compare(struct.pack("=I", _LOOPBACK), negate=True)


def one_in(count: int) -> bytes:
    """Match by chance, every `count`-th time."""
    return by_chance(1 / count)


def by_chance(share: float) -> bytes:
    """Match a share of packets, more than 0 and less than 1, by the kernel's dice."""
    below = min((1 << 32) - 1, max(1, int(share * (1 << 32))))
    return meta(Meta.RANDOM) + compare(struct.pack(">I", below), operation=LESS)


def counter() -> bytes:
    """Count what comes so far in the rule."""
    return expression("counter")


def drop() -> bytes:
    """Let the packet vanish."""
    return verdict(_DROP)


def reject(*, reset: bool) -> bytes:
    """Refuse: a TCP connection by a reset, anything else by `port unreachable`."""
    return expression("reject", network(1, int(reset)), attribute(2, bytes([_PORT_UNREACHABLE])))


def leave() -> bytes:
    """End this chain: an iptables RETURN."""
    return verdict(_RETURN)


def jump(chain: str) -> bytes:
    """Go on in another chain and come back."""
    return verdict(_JUMP, chain)


def goto(chain: str) -> bytes:
    """Go on in another chain for good."""
    return verdict(_GOTO, chain)


def redirect(port: int) -> bytes:
    """Send to a port of this host."""
    return immediate(REGISTER, struct.pack(">H", port)) + expression("redir", network(1, REGISTER))


def destination_nat(ip: str, port: int) -> bytes:
    """Send to another address and port."""
    load = immediate(REGISTER, socket.inet_aton(ip)) + immediate(SECOND, struct.pack(">H", port))
    return load + expression(
        "nat", network(1, 1), network(2, socket.AF_INET), network(3, REGISTER), network(5, SECOND)
    )


def source_nat(ip: str) -> bytes:
    """Let it come from another address."""
    load = immediate(REGISTER, socket.inet_aton(ip))
    return load + expression("nat", network(1, 0), network(2, socket.AF_INET), network(3, REGISTER))


def commit(messages: Sequence[Message]) -> None:
    """Apply all messages or none, in this network namespace."""
    with netlink.Netlink(netlink.NETFILTER) as socket_:
        for batch in transactions(messages):
            socket_.send_whole(batch)


def transactions(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """The batches in which messages go to the kernel.

    A transaction has to fit a socket buffer whose size is not ours to choose: a larger one is cut up.
    """
    part: list[Message] = []
    size = 0
    for message in messages:
        if part and size + len(message.body) > _LARGEST:
            yield [_bracket(_BEGIN), *part, _bracket(_END)]
            part, size = [], 0
        part.append(message)
        size += len(message.body) + _OVERHEAD
    yield [_bracket(_BEGIN), *part, _bracket(_END)]


def table(name: str) -> Message:
    """Make a table of IPv4, unless it is there."""
    return _message(_NEW_TABLE, netlink.CREATE, text(1, name), f"table {name}")


def base_chain(table_name: str, name: str, hook: Hook, priority: int | None = None) -> Message:
    """Make a chain that the kernel calls for the first packet of every connection."""
    if priority is None:
        priority = _SRCNAT if hook is Hook.POSTROUTING else _DSTNAT
    return _hooked_chain(table_name, name, hook, priority, "nat")


def filter_chain(table_name: str, name: str, hook: Hook, priority: int) -> Message:
    """Make a chain that the kernel calls for every packet."""
    return _hooked_chain(table_name, name, hook, priority, "filter")


def route_chain(table_name: str, name: str, priority: int) -> Message:
    """Make a chain for packets of this host, which are routed again where it marks them."""
    return _hooked_chain(table_name, name, Hook.OUTPUT, priority, "route")


def _hooked_chain(table_name: str, name: str, hook: Hook, priority: int, kind: str) -> Message:
    where = nested(4, network(1, hook), attribute(2, struct.pack(">i", priority)))
    body = text(1, table_name) + text(3, name) + where + text(7, kind)
    return _message(_NEW_CHAIN, netlink.CREATE, body, f"chain {name}")


def chain(table_name: str, name: str) -> Message:
    """Make a chain to jump to."""
    return _message(_NEW_CHAIN, netlink.CREATE, text(1, table_name) + text(3, name), f"chain {name}")


def delete_chain(table_name: str, name: str) -> Message:
    """Remove an empty chain."""
    return _message(_DELETE_CHAIN, 0, text(1, table_name) + text(3, name), f"chain {name}")


def flush(table_name: str, name: str) -> Message:
    """Remove every rule of a chain."""
    return _message(_DELETE_RULE, 0, text(1, table_name) + text(2, name), f"rules of {name}")


def rule(table_name: str, name: str, expressions: Rule) -> Message:
    """Append a rule to a chain."""
    body = text(1, table_name) + text(2, name) + nested(4, *expressions)
    return _message(_NEW_RULE, netlink.CREATE | netlink.APPEND, body, f"rule of {name}")


def _message(kind: int, flags: int, body: bytes, label: str) -> Message:
    return Message(SUBSYSTEM << 8 | kind, flags, struct.pack(">BBH", socket.AF_INET, 0, 0) + body, label)


def _bracket(kind: int) -> Message:
    return Message(kind, 0, struct.pack(">BBH", 0, 0, SUBSYSTEM), "transaction")
