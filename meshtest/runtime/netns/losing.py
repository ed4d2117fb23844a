"""Packets that get lost between pods: one nftables chain per fault and place, with a counter in every rule.

    from a ─► b     router, forward: both addresses are the pods' own, whatever cluster IP was dialled
    to b            b's own namespace, as it comes in from outside: also what the router itself sends (DNS)
    from a          router, as it comes in from a

A packet is never dropped as it leaves a pod: the kernel would tell the sender, and a lost packet tells nobody.
What was established before is met as well, since every packet passes here.
"""

from __future__ import annotations

import struct
from enum import Enum
from typing import TYPE_CHECKING, Any

from meshtest.runtime.netns import netlink, nft
from meshtest.runtime.netns.netlink import Message, attributes, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

TABLE = "meshtest"
_GET_CHAIN, _GET_RULE = 4, 7
_CHAIN_NAME, _RULE_CHAIN, _RULE_EXPRESSIONS = 3, 2, 4
_EXPRESSION_NAME, _EXPRESSION_DATA = 1, 2
_COUNTED_PACKETS = 2


class Spot(Enum):
    """Where a chain hangs in the router."""

    THROUGH = "through"
    OUT_OF_POD = "out"


Lost = dict[str, Any]
"""`source` and `destination` (addresses, either may be empty) and `share` (0 to 1)."""


def spots(lost: Sequence[Lost]) -> dict[Spot | str, list[nft.Rule]]:
    """The rules by where they belong: the router's spots, or the address of a pod."""
    found: dict[Spot | str, list[nft.Rule]] = {}
    for one in lost:
        source, destination = one["source"], one["destination"]
        if source and destination:
            where: Spot | str = Spot.THROUGH
            match: nft.Rule = (nft.from_address(source), nft.to_address(destination))
        elif source:
            where, match = Spot.OUT_OF_POD, (nft.from_address(source),)
        else:
            where, match = destination, (nft.from_outside(), nft.to_address(destination))
        chance = () if one["share"] >= 1 else (nft.by_chance(one["share"]),)
        found.setdefault(where, []).append((*match, *chance, nft.counter(), nft.drop()))
    return found


def messages(name: str, where: Spot | str, rules: Sequence[nft.Rule]) -> list[Message]:
    """A chain with its rules."""
    chain = chain_name(name, where)
    hook, priority = (
        (nft.Hook.FORWARD, nft.FILTER) if where is Spot.THROUGH else (nft.Hook.PREROUTING, nft.RAW)
    )
    head = [nft.table(TABLE), nft.filter_chain(TABLE, chain, hook, priority)]
    return head + [nft.rule(TABLE, chain, rule) for rule in rules]


def removal(name: str, where: Spot | str) -> list[Message]:
    """Take the chain away again."""
    chain = chain_name(name, where)
    return [nft.flush(TABLE, chain), nft.delete_chain(TABLE, chain)]


def chain_name(name: str, where: Spot | str) -> str:
    """The chain of a fault at a place."""
    return f"fault {name} {where.value if isinstance(where, Spot) else 'in'}"


def dropped(chain: str) -> int:
    """How many packets the rules of a chain have dropped, in this network namespace."""
    with netlink.Netlink(netlink.NETFILTER) as socket_:
        return dropped_of(chain, socket_.dump(rules_request()))


def rules_request() -> Message:
    """Ask for every rule of the table."""
    return _request(_GET_RULE, text(1, TABLE))


def dropped_of(chain: str, listed: Iterable[bytes]) -> int:
    """How many packets the rules of a chain have dropped, by what the kernel listed."""
    return sum(packets for found, packets, _ in _rules(listed) if found == chain)


def everything() -> list[str]:
    """Every chain and rule of this network namespace, without what counts up."""
    with netlink.Netlink(netlink.NETFILTER) as socket_:
        chains = [_name(body, _CHAIN_NAME) for body in socket_.dump(_request(_GET_CHAIN, b""))]
        rules = list(socket_.dump(rules_request()))
    listed = [f"chain {chain}" for chain in chains]
    return sorted(listed + [f"rule {chain} {shape}" for chain, _, shape in _rules(rules)])


def _rules(listed: Iterable[bytes]) -> Iterator[tuple[str, int, str]]:
    """Chain, packets counted and expressions of every rule."""
    for body in listed:
        packets, shape = 0, []
        for kind, value in attributes(body[4:]):
            if kind == _RULE_EXPRESSIONS:
                for _, expression in attributes(value):
                    parts = dict(attributes(expression))
                    what, data = parts[_EXPRESSION_NAME].rstrip(b"\0"), parts.get(_EXPRESSION_DATA, b"")
                    if what == b"counter":
                        packets += struct.unpack(">Q", dict(attributes(data))[_COUNTED_PACKETS])[0]
                        data = b""
                    shape.append(f"{what.decode()}:{data.hex()}")
        yield _name(body, _RULE_CHAIN), packets, " ".join(shape)


def _name(body: bytes, kind: int) -> str:
    return dict(attributes(body[4:])).get(kind, b"").rstrip(b"\0").decode()


def _request(kind: int, body: bytes) -> Message:
    header = struct.pack(">BBH", 2, 0, 0)
    return Message(nft.SUBSYSTEM << 8 | kind, netlink.DUMP, header + body, "dump")
