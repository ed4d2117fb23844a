"""What the cluster's network makes of Services: names for the resolver, backends for cluster IPs.

Both are read from EndpointSlices alone, as CoreDNS and kube-proxy do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshtest.mesh.endpoints import service_of_slice
from meshtest.mesh.model import Backend

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from meshtest.mesh.model import Service, ServicePort

    Slices = Mapping[str, Sequence[Mapping[str, Any]]]

FORWARDED = frozenset(("TCP", "UDP"))


def by_service(slices: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """IPv4 slices by the Service they belong to."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for one in slices:
        if one.get("addressType", "IPv4") == "IPv4":
            found.setdefault(service_of_slice(one), []).append(one)
    return found


def cluster_ips(
    services: Iterable[Service], slices: Slices, nodes: Sequence[str] = ()
) -> dict[str, dict[int, tuple[Backend, ...]]]:
    """What kube-proxy answers: address -> port -> ready backends; a port without any refuses connections.

    Cluster IPs, external addresses, and node ports on the addresses of `nodes`.
    """
    found: dict[str, dict[int, tuple[Backend, ...]]] = {}
    for service in services:
        if not service.cluster_ip:
            continue
        own = (service.cluster_ip, *service.external_addresses)
        for ip in own:
            found.setdefault(ip, {})
        for port in sorted(service.ports, key=lambda port: port.protocol != "TCP"):
            if port.protocol in FORWARDED:
                backends = tuple(_backends(port, slices.get(service.key, ())))
                places = [(ip, port.number) for ip in own]
                places += [(ip, port.node_port) for ip in nodes if port.node_port]
                for ip, number in places:
                    found.setdefault(ip, {}).setdefault(number, backends)
    return found


def zone(services: Iterable[Service], slices: Slices) -> dict[str, tuple[str, ...]]:
    """Full name -> addresses or `("CNAME name",)`; names without an address are not there."""
    found: dict[str, tuple[str, ...]] = {}
    for service in services:
        if service.external_name:
            found[service.host] = (f"CNAME {service.external_name}",)
        elif service.cluster_ip:
            found[service.host] = (service.cluster_ip,)
        elif service.headless:
            found |= _headless(service, slices.get(service.key, ()))
    return found


def _headless(service: Service, slices: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    names: dict[str, list[str]] = {}
    for one in slices:
        for endpoint in _ready(one):
            for address in endpoint["addresses"]:
                own = endpoint.get("hostname") or address.replace(".", "-")
                for name in (service.host, f"{own}.{service.host}".lower()):
                    if address not in names.setdefault(name, []):
                        names[name].append(address)
    return {name: tuple(addresses) for name, addresses in names.items()}


def _backends(port: ServicePort, slices: Sequence[Mapping[str, Any]]) -> Iterator[Backend]:
    for one in slices:
        for own in one.get("ports") or ():
            if (own.get("name") or "", own.get("protocol") or "TCP") == (port.name, port.protocol):
                for endpoint in _ready(one):
                    yield Backend(ip=endpoint["addresses"][0], port=own["port"])


def _ready(one: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for endpoint in one.get("endpoints") or ():
        if (endpoint.get("conditions") or {}).get("ready", True) is not False and endpoint.get("addresses"):
            yield endpoint
