"""The router: the network namespace that the supervisor itself is in, between all pods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshtest.runtime.netns import links, netlink, nft, rules, spec

if TYPE_CHECKING:
    from collections.abc import Collection

    from meshtest.runtime.netns.pods import PodPlace
    from meshtest.runtime.netns.rules import ClusterIps


class Router:
    """Routes between pods and stands for the cluster IPs."""

    def __init__(self) -> None:
        self._cluster_ips: ClusterIps = {}
        with netlink.Netlink(netlink.ROUTE) as route:
            route.send(links.router_messages())
        nft.commit(rules.router_messages())
        links.forget_closed_connections_soon()

    def set_cluster_ips(self, network: dict[str, Any]) -> None:
        """Replace the cluster IPs; connections that exist keep their pod, as in a cluster."""
        wanted = spec.cluster_ips_from_json(network)
        messages = rules.service_messages(self._cluster_ips, wanted)
        if messages:
            nft.commit(messages)
        self._cluster_ips = wanted

    def set_pods(self, places: Collection[PodPlace]) -> None:
        """Tell it which pods there are."""
        links.allow_forwarding([place.number for place in places])
        nft.commit(rules.hairpin_messages([place.spec.ip for place in places]))
