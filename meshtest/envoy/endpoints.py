"""Which endpoints a sidecar sends to, and how it is sent elsewhere without noticing. Pure.

    istiod:    10.244.0.7:9080          (metadata: tlsMode, workload; weight, locality)
    sidecar:   10.244.255.254:21001     (all the rest as istiod said it)

Only the address changes: transport sockets are matched by metadata and the callee's identity is checked by the
cluster, so mTLS stays between the two sidecars.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2

from meshtest.envoy.resources import Resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_LB = "envoy.lb"
_HASH_KEY = "hash_key"


def swapped(raw: bytes, swap: Mapping[str, str]) -> bytes:
    """An endpoint assignment with other addresses; a consistent hash still sees the old ones."""
    if not any(_ip(address).encode() in raw for address in swap):
        return raw
    assignment = endpoint_pb2.ClusterLoadAssignment.FromString(raw)
    for found in _endpoints(assignment):
        address = _address(found)
        if address in swap:
            ip, _, port = swap[address].rpartition(":")
            socket_address = found.endpoint.address.socket_address
            socket_address.address, socket_address.port_value = ip, int(port)
            chosen = found.metadata.filter_metadata[_LB]
            if _HASH_KEY not in chosen:
                chosen[_HASH_KEY] = address
    return bytes(assignment.SerializeToString(deterministic=True))


class Swaps:
    """Which proxies reach which endpoints elsewhere; a control plane that is started again finds it in its folder."""

    def __init__(self, directory: str) -> None:
        self._path = Path(directory, "swaps.json")
        self._by_node: dict[str, dict[str, str]] = {}
        if self._path.exists():
            self._by_node = json.loads(self._path.read_text(encoding="utf-8"))

    def of(self, node: str) -> Mapping[str, str]:
        """Endpoint -> address instead, both `ip:port`, of one proxy."""
        return self._by_node.get(node, {})

    def change(self, more: Mapping[str, Mapping[str, str]], gone: Mapping[str, Iterable[str]]) -> set[str]:
        """Add swaps and end those that lead to the addresses in `gone`; returns the proxies that are concerned."""
        nodes = more.keys() | gone.keys()
        for node in nodes:
            left = frozenset(gone.get(node, ()))
            wanted = {**self.of(node), **more.get(node, {})}
            self._by_node[node] = {old: new for old, new in wanted.items() if new not in left}
        part = self._path.with_suffix(".part")
        part.write_text(json.dumps(self._by_node), encoding="utf-8")
        part.replace(self._path)
        return nodes


def reassigned(assignments: Mapping[str, Resource], swap: Mapping[str, str]) -> dict[str, Resource]:
    """The same assignments with these addresses, whatever they have now."""
    return {name: Resource.of(each.raw, swapped(each.raw, swap)) for name, each in assignments.items()}


def endpoints(assignments: Mapping[str, Resource], ips: Iterable[str]) -> dict[str, list[str]]:
    """`ip:port` -> clusters that send there, for these addresses."""
    wanted = {ip: ip.encode() for ip in ips}
    found: dict[str, list[str]] = {}
    for name, resource in assignments.items():
        if not any(ip in resource.raw for ip in wanted.values()):
            continue
        for each in _endpoints(endpoint_pb2.ClusterLoadAssignment.FromString(resource.raw)):
            address = _address(each)
            if _ip(address) in wanted:
                clusters = found.setdefault(address, [])
                if name not in clusters:
                    clusters.append(name)
    return found


def without_endpoints(clusters: Mapping[str, Resource]) -> dict[str, str]:
    """Outbound clusters that have no list of endpoints -> how they find their address instead."""
    found: dict[str, str] = {}
    for name, resource in clusters.items():
        if name.startswith("outbound|"):
            kind = cluster_pb2.Cluster.FromString(resource.raw).type
            if kind != cluster_pb2.Cluster.EDS:
                found[name] = str(cluster_pb2.Cluster.DiscoveryType.Name(kind))
    return found


def _endpoints(
    assignment: endpoint_pb2.ClusterLoadAssignment,
) -> Iterator[endpoint_components_pb2.LbEndpoint]:
    for locality in assignment.endpoints:
        yield from locality.lb_endpoints


def _address(found: endpoint_components_pb2.LbEndpoint) -> str:
    where = found.endpoint.address.socket_address
    return f"{where.address}:{where.port_value}"


def _ip(address: str) -> str:
    return address.rpartition(":")[0]
