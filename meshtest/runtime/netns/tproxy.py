"""TPROXY: a pod's connections come to its sidecar with the addresses that they have, and to its application too.

    caller ─► [TPROXY, mark] ─lo─► Envoy ─ in the caller's name, mark ─lo─► application
                                   Envoy ◄─lo─ [mark of the connection] ◄─ its answers, addressed to the caller

Istio's rules (istio/istio: tools/istio-iptables/pkg/capture/run.go and its tproxy golden files). What Envoy sends in
its own name bears another mark, which is how Istio's rules know it on `lo`.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from meshtest.runtime.netns import links, netlink, nft
from meshtest.runtime.netns.expressions import (
    REGISTER,
    Meta,
    compare,
    expression,
    immediate,
    masked,
    meta,
    verdict,
)
from meshtest.runtime.netns.netlink import Message, native, network

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest.runtime.base import Interception

DIVERTED = 1337
"""On what comes in, and on what Envoy sends in a caller's name (its filter original_src, as istiod configures it)."""
OWN = 1338
"""On what Envoy sends in its own name."""
_TABLE = 133
_ACCEPT = 1
_STATE, _MARK = 0, 3
_ESTABLISHED_OR_RELATED = 2 | 4
_NEW_RULE, _TO_TABLE = 32, 1
_LOOPBACK = 1


def messages(table: str, interception: Interception, port: int) -> list[Message]:
    """The chains that take a pod's connections to `port` of its sidecar; the rules of its calls are others."""
    incoming = [nft.rule(table, "divert", (nft.tcp(), *found)) for found in _incoming(interception, port)]
    return [
        nft.filter_chain(table, "divert", nft.Hook.PREROUTING, nft.MANGLE),
        nft.route_chain(table, "restore", nft.MANGLE),
        *incoming,
        nft.rule(table, "restore", (nft.tcp(), nft.to_loopback(), nft.marked(DIVERTED), nft.leave())),
        nft.rule(table, "restore", (nft.tcp(), _of_diverted_connection(), _mark(DIVERTED))),
    ]


def route() -> None:
    """Have marked packets stay on this host, whatever their destination."""
    with netlink.Netlink(netlink.ROUTE) as sent:
        sent.send([_rule(), links.everything_here(_TABLE)])
    for name in ("all", "lo"):  # where answers to a caller would go is not where its packets come from
        with contextlib.suppress(OSError):
            Path(f"/proc/sys/net/ipv4/conf/{name}/rp_filter").write_text("0")


def _incoming(interception: Interception, port: int) -> Iterator[nft.Rule]:
    yield nft.marked(DIVERTED), _keep_mark(), nft.leave()
    yield nft.from_loopback(), nft.from_address("127.0.0.6"), nft.leave()
    yield nft.from_loopback(), nft.marked(OWN, negate=True), nft.leave()
    divert: nft.Rule = (_of_known_connection(), _mark(DIVERTED), verdict(_ACCEPT))
    here: nft.Rule = (
        nft.to_address("127.0.0.1", negate=True),
        _to_socket(port),
        _mark(DIVERTED),
        verdict(_ACCEPT),
    )
    if interception.include_inbound_ports is not None:
        for included in interception.include_inbound_ports:
            yield nft.to_port(included), *divert
            yield nft.to_port(included), *here
        return
    for excluded in interception.exclude_inbound_ports:
        yield nft.to_port(excluded), nft.leave()
    yield divert
    yield here


def _mark(value: int) -> bytes:
    return immediate(REGISTER, struct.pack("=I", value)) + expression(
        "meta", network(2, Meta.MARK), network(3, REGISTER)
    )


def _keep_mark() -> bytes:
    """Have the connection bear the packet's mark."""
    return meta(Meta.MARK) + expression("ct", network(2, _MARK), network(4, REGISTER))


def _of_diverted_connection() -> bytes:
    return _tracked(_MARK) + compare(struct.pack("=I", DIVERTED))


def _of_known_connection() -> bytes:
    seen = masked(struct.pack("=I", _ESTABLISHED_OR_RELATED))
    return _tracked(_STATE) + seen + compare(bytes(4), negate=True)


def _tracked(key: int) -> bytes:
    return expression("ct", network(1, REGISTER), network(2, key))


def _to_socket(port: int) -> bytes:
    chosen = expression("tproxy", network(1, socket.AF_INET), network(3, REGISTER))
    return immediate(REGISTER, struct.pack(">H", port)) + chosen


def _rule() -> Message:
    header = struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, _TABLE, 0, 0, _TO_TABLE, 0)
    return Message(_NEW_RULE, netlink.CREATE, header + native(10, DIVERTED), f"rule for mark {DIVERTED}")
