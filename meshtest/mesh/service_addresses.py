"""Which addresses Services get: cluster IPs, external addresses of load balancers, ports on every node."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshtest.mesh import addresses
from meshtest.mesh.fields import fields_of
from meshtest.mesh.services import service_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshtest.mesh.model import Manifest, MeshModel, Service, ServicePort

_REACHED_ON_NODES = ("NodePort", "LoadBalancer")
_NODE_PORTS = range(30000, 32768)


def services_of(manifests: Iterable[Manifest], previous: MeshModel | None) -> dict[str, Service]:
    """The Services by key, with the addresses that the cluster gives them; those of `previous` are kept."""
    sources = {f"{one.ref.namespace}/{one.ref.name}": one for one in manifests if one.ref.kind == "Service"}
    found = {key: service_of(manifest) for key, manifest in sources.items()}
    before = {service.key: service for service in previous.services} if previous else {}
    found = _with_cluster_ips(found, sources, before)
    return _with_node_ports(_with_load_balancers(found, before), before)


def _with_cluster_ips(
    found: Mapping[str, Service], sources: Mapping[str, Manifest], before: Mapping[str, Service]
) -> dict[str, Service]:
    given: dict[str, str] = {}
    owners: dict[str, str] = {}
    for key, service in found.items():
        if service.cluster_ip:
            given[key] = service.cluster_ip
            if (first := owners.setdefault(service.cluster_ip, key)) != key:
                problem = (
                    f"{service.cluster_ip} is already given to Service {first} at {sources[first].location}"
                )
                raise fields_of(sources[key]).mapping("spec").error("clusterIP", problem)
    wanting = [key for key, service in found.items() if not (service.headless or service.external_name)]
    kept = {key: service.cluster_ip for key, service in before.items()}
    address = addresses.assign(wanting, addresses.SERVICE_NETWORK, given=given, before=kept)
    return {key: replace(service, cluster_ip=address.get(key, "")) for key, service in found.items()}


def _with_load_balancers(found: Mapping[str, Service], before: Mapping[str, Service]) -> dict[str, Service]:
    """As a load balancer of the cluster's owner would do, once there is one."""
    wanting = [key for key, service in found.items() if service.kind == "LoadBalancer"]
    given = {key: found[key].load_balancer for key in wanting if found[key].load_balancer}
    kept = {key: service.load_balancer for key, service in before.items()}
    address = addresses.assign(wanting, addresses.LOAD_BALANCERS, given=given, before=kept)
    return {key: replace(service, load_balancer=address.get(key, "")) for key, service in found.items()}


def _with_node_ports(found: Mapping[str, Service], before: Mapping[str, Service]) -> dict[str, Service]:
    given, kept = _node_ports(found.values()), _node_ports(before.values())
    taken = {*given.values(), *kept.values()}
    free = (number for number in _NODE_PORTS if number not in taken)
    mine = {key: number for key, number in kept.items() if number not in given.values()}

    def number(service: Service, port: ServicePort) -> int:
        key = (service.key, port.number, port.protocol)
        return given.get(key) or mine.get(key) or next(free)

    return {
        key: replace(
            service, ports=tuple(replace(port, node_port=number(service, port)) for port in service.ports)
        )
        if service.kind in _REACHED_ON_NODES
        else service
        for key, service in found.items()
    }


def _node_ports(services: Iterable[Service]) -> dict[tuple[str, int, str], int]:
    return {
        (service.key, port.number, port.protocol): port.node_port
        for service in services
        for port in service.ports
        if port.node_port
    }
