"""Which rules a pod and the router carry: Istio's redirects, and cluster IPs as kube-proxy makes them.

A uid cannot tell Envoy from its application here, since an ordinary user's sandbox has one uid only; Envoy
marks its sockets instead, and `MARK` stands wherever Istio's rules ask for the proxy's uid. Other runtimes say
themselves how the proxy is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.runtime.netns import nft, tproxy
from meshtest.runtime.netns.links import NODE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from meshtest.runtime.base import Interception
    from meshtest.runtime.netns.netlink import Message

MARK = 1337
INBOUND_PORT = 15006
OUTBOUND_PORT = 15001
_TUNNEL_PORT = 15008
TABLE = "meshtest"

if TYPE_CHECKING:
    Proxy = Callable[[bool], bytes]
    """An expression that matches what Envoy sends itself, or (True) all else."""
Backends = list[tuple[str, int]]
ClusterIps = dict[str, dict[int, list[tuple[str, int]]]]
"""Cluster IP -> port -> backends."""


def _marked(negate: bool) -> bytes:  # noqa: FBT001 - the shape of Proxy
    return nft.marked(MARK, negate=negate)


def redirect_messages(interception: Interception, proxy: Proxy = _marked) -> list[Message]:
    """Build a pod's redirects (istio/istio: tools/istio-iptables/pkg/capture/run.go)."""
    messages = [
        nft.table(TABLE),
        nft.base_chain(TABLE, "prerouting", nft.Hook.PREROUTING),
        nft.base_chain(TABLE, "output", nft.Hook.OUTPUT),
    ]
    if interception.transparent:
        messages += tproxy.messages(TABLE, interception, INBOUND_PORT)
    else:
        messages += [nft.rule(TABLE, "prerouting", (nft.tcp(), *found)) for found in _inbound(interception)]
    messages += [nft.rule(TABLE, "output", found) for found in _outbound(interception, proxy)]
    return messages


def _inbound(interception: Interception) -> Iterator[nft.Rule]:
    yield nft.to_port(_TUNNEL_PORT), nft.leave()
    if interception.include_inbound_ports is not None:
        for port in interception.include_inbound_ports:
            yield nft.to_port(port), nft.redirect(INBOUND_PORT)
        return
    for port in interception.exclude_inbound_ports:
        yield nft.to_port(port), nft.leave()
    yield (nft.redirect(INBOUND_PORT),)


def _outbound(interception: Interception, proxy: Proxy) -> Iterator[nft.Rule]:
    tcp, to_envoy = nft.tcp(), nft.redirect(OUTBOUND_PORT)
    for port in interception.exclude_outbound_ports:
        yield tcp, nft.to_port(port), nft.leave()
        yield nft.udp(), nft.to_port(port), nft.leave()
    yield from _own_calls() if interception.transparent else _loopback(proxy)
    for cidr in interception.exclude_outbound_ranges:
        yield nft.to_address(cidr), nft.leave()
    for port in interception.include_outbound_ports:
        yield tcp, nft.to_port(port), to_envoy
    if interception.include_outbound_ranges is None:
        yield tcp, to_envoy
        return
    for cidr in interception.include_outbound_ranges:
        yield tcp, nft.to_address(cidr), to_envoy


def _loopback(proxy: Proxy) -> Iterator[nft.Rule]:
    """Keep Envoy from calling itself: all but its calls of its own pod's address."""
    lo = nft.to_loopback()
    yield lo, nft.from_address("127.0.0.6"), nft.leave()
    yield (
        lo,
        nft.to_address("127.0.0.1", negate=True),
        nft.tcp(),
        nft.to_port(_TUNNEL_PORT, negate=True),
        proxy(False),  # noqa: FBT003 - the shape of Proxy
        nft.redirect(INBOUND_PORT),
    )
    yield lo, proxy(True), nft.leave()  # noqa: FBT003 - as above
    yield proxy(False), nft.leave()  # noqa: FBT003 - as above
    yield nft.to_address("127.0.0.1"), nft.leave()


def _own_calls() -> Iterator[nft.Rule]:
    """The same where the sidecar has no uid of its own, as in TPROXY mode: its calls of its own pod are diverted."""
    yield nft.to_loopback(), nft.leave()
    yield nft.marked(tproxy.OWN), nft.leave()
    yield nft.marked(tproxy.DIVERTED), nft.leave()


def router_messages() -> list[Message]:
    """Build the router's chains: one dispatching chain, and later one chain per cluster IP."""
    messages = [
        nft.table(TABLE),
        nft.chain(TABLE, "services"),
        nft.base_chain(TABLE, "prerouting", nft.Hook.PREROUTING),
        nft.base_chain(TABLE, "output", nft.Hook.OUTPUT),
        nft.base_chain(TABLE, "postrouting", nft.Hook.POSTROUTING),
    ]
    for hook in ("prerouting", "output"):
        messages += [nft.rule(TABLE, hook, (kind, nft.jump("services"))) for kind in (nft.tcp(), nft.udp())]
    return messages


def service_messages(old: ClusterIps, new: ClusterIps) -> list[Message]:
    """Turn the rules for `old` into those for `new`; cluster IPs that did not change are not touched."""
    messages: list[Message] = []
    for ip in new:
        if ip not in old:
            messages.append(nft.chain(TABLE, ip))
        if new[ip] != old.get(ip):
            messages.append(nft.flush(TABLE, ip))
            messages += [nft.rule(TABLE, ip, found) for found in _balance(new[ip])]
    gone = [ip for ip in old if ip not in new]
    if gone:
        messages.append(nft.flush(TABLE, "services"))
        for ip in gone:
            messages += [nft.flush(TABLE, ip), nft.delete_chain(TABLE, ip)]
    named = new if gone else [ip for ip in new if ip not in old]
    return messages + [nft.rule(TABLE, "services", (nft.to_address(ip), nft.goto(ip))) for ip in named]


def _balance(ports: Mapping[int, Backends]) -> Iterator[nft.Rule]:
    for port, backends in ports.items():
        for place, (ip, target) in enumerate(backends):
            left = len(backends) - place
            chance = (nft.one_in(left),) if left > 1 else ()
            yield nft.to_port(port), *chance, nft.destination_nat(ip, target)


def hairpin_messages(pods: Iterable[str]) -> list[Message]:
    """Let a pod that calls itself by a cluster IP be called by the node; it would refuse its own address."""
    messages = [nft.flush(TABLE, "postrouting")]
    for ip in pods:
        same = (nft.from_address(ip), nft.to_address(ip), nft.source_nat(NODE))
        messages.append(nft.rule(TABLE, "postrouting", same))
    return messages
