"""The parts that rules of nftables are made of, one function per kind (linux/netfilter/nf_tables.h)."""

from __future__ import annotations

import ipaddress
import struct
from enum import IntEnum

from meshtest.runtime.netns.netlink import attribute, nested, network, text

EQUAL, NOT_EQUAL, LESS = 0, 1, 2
REGISTER, SECOND = 1, 2


class Meta(IntEnum):
    """What is known of a packet besides its contents."""

    MARK = 3
    IIF = 4
    OIF = 5
    SKUID = 10
    L4PROTO = 16
    RANDOM = 24


def expression(name: str, *attributes: bytes) -> bytes:
    """One part of a rule."""
    return nested(1, text(1, name), nested(2, *attributes))


def meta(key: Meta) -> bytes:
    """Load what is known of the packet."""
    return expression("meta", network(2, key), network(1, REGISTER))


def payload(base: int, offset: int, size: int) -> bytes:
    """Load bytes of the packet: of its network header (1) or its transport header (2)."""
    return expression("payload", network(1, REGISTER), network(2, base), network(3, offset), network(4, size))


def compare(value: bytes, *, negate: bool = False, operation: int = EQUAL) -> bytes:
    """Go on where what was loaded is this."""
    chosen = NOT_EQUAL if negate else operation
    return expression("cmp", network(1, REGISTER), network(2, chosen), nested(3, attribute(1, value)))


def masked(mask: bytes) -> bytes:
    """Keep some bits of what was loaded."""
    size, kept = network(3, len(mask)), nested(4, attribute(1, mask))
    nothing = nested(5, attribute(1, bytes(len(mask))))
    return expression("bitwise", network(1, REGISTER), network(2, REGISTER), size, kept, nothing)


def address(offset: int, cidr: str, *, negate: bool) -> bytes:
    """Compare an address of the network header with an address or a range."""
    found = ipaddress.IPv4Network(cidr, strict=False)
    load = payload(1, offset, 4)
    if found.prefixlen < 32:
        load += masked(found.netmask.packed)
    return load + compare(found.network_address.packed, negate=negate)


def immediate(register: int, value: bytes) -> bytes:
    """Load a constant."""
    return expression("immediate", network(1, register), nested(2, attribute(1, value)))


def verdict(code: int, target: str = "") -> bytes:
    """What becomes of the packet."""
    where = text(2, target) if target else b""
    chosen = nested(2, attribute(1, struct.pack(">i", code)), where)
    return expression("immediate", network(1, 0), nested(2, chosen))
