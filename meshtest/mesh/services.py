"""Services as manifests write them, with the API server's defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.mesh.addresses import POD_NETWORK, RESERVED, is_ipv4
from meshtest.mesh.containers import protocol_of
from meshtest.mesh.fields import Fields, fields_of
from meshtest.mesh.model import Service, ServicePort

if TYPE_CHECKING:
    from meshtest.mesh.model import Manifest

TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")
NO_ADDRESS = "None"


def service_of(manifest: Manifest) -> Service:
    """A Service; its cluster IP is what the manifest asks for, or empty."""
    spec = fields_of(manifest).mapping("spec")
    kind = spec.text("type", "ClusterIP")
    if kind not in TYPES:
        raise spec.error("type", f"no type {kind!r}", expected=" or ".join(TYPES))
    address = spec.text("clusterIP")
    external = _external_name(spec) if kind == "ExternalName" else ""
    headless = address == NO_ADDRESS
    ports = tuple(_port(item) for item in spec.items("ports"))
    if not (ports or headless or external):
        raise spec.error("ports", "missing", expected="at least one port")
    _check_ports(spec, ports)
    return Service(
        namespace=manifest.ref.namespace,
        name=manifest.ref.name,
        ports=ports,
        selector={} if external else spec.texts("selector"),
        cluster_ip="" if headless or external else _cluster_ip(spec, address),
        headless=headless,
        external_name=external,
        publish_not_ready=spec.truth("publishNotReadyAddresses"),
        kind=kind,
        load_balancer=_load_balancer(spec) if kind == "LoadBalancer" else "",
        external_ips=_external_ips(spec),
    )


def _load_balancer(spec: Fields) -> str:
    address = spec.text("loadBalancerIP")
    if address and not is_ipv4(address):
        raise spec.error("loadBalancerIP", f"{address!r} is no address", expected="an IPv4 address")
    return address


def _external_ips(spec: Fields) -> tuple[str, ...]:
    found = spec.words("externalIPs")
    for address in found:
        if not is_ipv4(address):
            raise spec.error("externalIPs", f"{address!r} is no address", expected="an IPv4 address")
    return found


def _external_name(spec: Fields) -> str:
    name = spec.text("externalName").rstrip(".").lower()
    if not name:
        raise spec.error("externalName", "missing", expected="a host name")
    return name


def _cluster_ip(spec: Fields, address: str) -> str:
    families = spec.words("ipFamilies")
    if ":" in address or families[:1] == ("IPv6",):
        raise spec.error("clusterIP" if address else "ipFamilies", "IPv6 is not supported", expected="IPv4")
    if address and not is_ipv4(address):
        raise spec.error("clusterIP", f"{address!r} is no address")
    if address in RESERVED or address.startswith(f"{POD_NETWORK}."):
        raise spec.error("clusterIP", f"{address} is taken by the cluster itself")
    return address


def _port(item: Fields) -> ServicePort:
    number = item.port("port")
    return ServicePort(
        number=number,
        name=item.text("name"),
        target=_target(item, number),
        protocol=protocol_of(item),
        app_protocol=item.text("appProtocol"),
        node_port=item.port("nodePort") if item.value.get("nodePort") else 0,
    )


def _target(item: Fields, number: int) -> int | str:
    target = item.value.get("targetPort")
    if isinstance(target, str) and target:
        if target.isdecimal():
            raise item.error(
                "targetPort", f'"{target}" in quotes names a port', expected=f"{target} without quotes"
            )
        return target
    return item.port("targetPort") if target not in (None, "", 0) else number


def _check_ports(spec: Fields, ports: tuple[ServicePort, ...]) -> None:
    for index, (item, port) in enumerate(zip(spec.items("ports"), ports, strict=True)):
        if len(ports) > 1 and not port.name:
            raise item.error(
                "name", "missing", expected="a name, as every port of a Service with several has"
            )
        for other in ports[:index]:
            if port.name == other.name:
                raise item.error("name", f"two ports are called {port.name!r}")
            if (port.number, port.protocol) == (other.number, other.protocol):
                raise item.error("port", f"{port.number}/{port.protocol} stands there twice")
