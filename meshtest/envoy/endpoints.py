"""Which endpoints a sidecar sends to, and how it is sent elsewhere without noticing. Pure.

    istiod:    10.244.0.7:9080          (metadata: tlsMode, workload; weight, locality)
    sidecar:   10.244.255.254:21001     (all the rest as istiod said it)

Only the address changes: transport sockets are matched by metadata and the callee's identity is checked by the
cluster, so mTLS stays between the two sidecars.
"""

from __future__ import annotations

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


def changed_swaps(swaps: Mapping[str, str], more: Mapping[str, str], gone: Iterable[str]) -> dict[str, str]:
    """The swaps with `more` of them and without those to the addresses in `gone`."""
    left = frozenset(gone)
    return {old: new for old, new in {**swaps, **more}.items() if new not in left}


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
