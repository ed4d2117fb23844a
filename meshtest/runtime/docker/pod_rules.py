"""Which nftables rules a pod of the docker runtime carries: everything stands in the pod's own namespace.

OUTPUT, nat at -100:  Istio's redirects, Envoy told apart by its uid
OUTPUT, nat at -90:   cluster IPs -> one of their pods, as kube-proxy makes them
OUTPUT, filter:       what goes to no pod of the run is refused: nothing reaches the outside
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from meshtest.runtime.netns import losing, nft, rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshtest.runtime.base import Interception
    from meshtest.runtime.netns.netlink import Message
    from meshtest.runtime.netns.rules import ClusterIps

_TABLE = rules.TABLE
_SERVICES = -90
"""After the redirects: a connection is translated by the first chain that wants to."""


def redirects(interception: Interception, uid: int) -> list[Message]:
    """Istio's rules; the chains and the table are theirs alone or there already."""
    return rules.redirect_messages(interception, partial(nft.sent_by, uid))


def base_messages(subnet: str, host: str) -> list[Message]:
    """The chains for cluster IPs, and the end of all that leaves the run's network."""
    messages = [
        nft.table(_TABLE),
        nft.chain(_TABLE, "services"),
        nft.chain(_TABLE, "gone"),
        nft.base_chain(_TABLE, "cluster-ips", nft.Hook.OUTPUT, _SERVICES),
        nft.filter_chain(_TABLE, "outside", nft.Hook.OUTPUT, nft.FILTER),
    ]
    for kind in (nft.tcp(), nft.udp()):
        messages.append(nft.rule(_TABLE, "cluster-ips", (kind, nft.jump("services"))))  # noqa: PERF401 - reads best
    outside = (
        (nft.to_loopback(), nft.leave()),
        (nft.to_address("127.0.0.0/8"), nft.leave()),  # redirected just now, still under way to eth0
        (nft.jump("gone"),),
        (nft.to_address(host, negate=True), nft.to_address(subnet), nft.leave()),
        (nft.tcp(), nft.reject(reset=True)),
        (nft.reject(reset=False),),
    )
    return messages + [nft.rule(_TABLE, "outside", found) for found in outside]


def gone(addresses: Sequence[str]) -> list[Message]:
    """Refuse what goes to pods that were removed: nobody would answer for their addresses."""
    rules_ = [
        (nft.to_address(ip), *match)
        for ip in addresses
        for match in ((nft.tcp(), nft.reject(reset=True)), (nft.reject(reset=False),))
    ]
    return [nft.flush(_TABLE, "gone"), *(nft.rule(_TABLE, "gone", found) for found in rules_)]


def services(old: ClusterIps, new: ClusterIps) -> list[Message]:
    """Turn the cluster IPs of a pod from `old` into `new`."""
    return rules.service_messages(old, new)


def losses(name: str, lost: Sequence[losing.Lost]) -> list[Message]:
    """Have packets that come in from outside vanish: a packet is never dropped as it leaves, the sender would know."""
    found: list[nft.Rule] = []
    for one in lost:
        match = [nft.from_outside()]
        if one["source"]:
            match.append(nft.from_address(one["source"]))
        chance = [] if one["share"] >= 1 else [nft.by_chance(one["share"])]
        found.append((*match, *chance, nft.counter(), nft.drop()))
    return losing.messages(name, "", found)


def restored(name: str) -> list[Message]:
    """Take a fault's rules away."""
    return losing.removal(name, "")
