"""Which protocol a port speaks, by Istio's rules (ConvertProtocol in istio/istio: pkg/config/kube)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.mesh.declared_ports import declared_ports
from meshtest.mesh.selectors import matches

if TYPE_CHECKING:
    from meshtest.mesh.model import MeshModel, Pod, Service, ServicePort

APP_PROTOCOLS = {"kubernetes.io/h2c": "http2", "kubernetes.io/ws": "http", "kubernetes.io/wss": "https"}
KNOWN = frozenset(
    (
        "tcp",
        "udp",
        "grpc",
        "grpc-web",
        "http",
        "http_proxy",
        "http2",
        "https",
        "tls",
        "mongo",
        "redis",
        "mysql",
    )
)
OPAQUE_PORTS = frozenset((25, 53, 3306, 27017))  # Istio never sniffs on these
SERVER_SPEAKS_FIRST = frozenset((25, 3306))
STAND_INS = {
    "": "auto",
    "http": "http",
    "http_proxy": "http",
    "http2": "h2c",
    "grpc": "grpc",
    "grpc-web": "grpc",
    "https": "https",
    "tls": "tls",
    "mysql": "server-first",
}


def istio_protocol(number: int, name: str = "", app_protocol: str = "", transport: str = "TCP") -> str:
    """The protocol that Istio takes a port for, in lower case; empty where it sniffs."""
    if transport == "UDP":
        return "udp"
    word = APP_PROTOCOLS.get(app_protocol, app_protocol) or name
    if word.lower().startswith("grpc-web"):
        return "grpc-web"
    word = word.partition("-")[0].lower()
    if word in KNOWN:
        return word
    return "tcp" if number in OPAQUE_PORTS else ""


def standin_protocol(number: int, name: str = "", app_protocol: str = "") -> str:
    """What a stand-in speaks on a port: auto, http, h2c, grpc, tcp, server-first, tls or https."""
    known = istio_protocol(number, name, app_protocol)
    speaks_first = number in SERVER_SPEAKS_FIRST and known in {"", "tcp"}
    if speaks_first or (app_protocol or name).lower().startswith("smtp"):
        return "server-first"
    return STAND_INS.get(known, "tcp")


def standin_ports(model: MeshModel, pod: Pod) -> list[tuple[int, str]]:
    """Every TCP port on which a pod's application is called, and what it speaks there.

    A Service that leads to a port says more of it than the container does; where Services differ, the
    stand-in finds out by itself.
    """
    found: dict[int, set[str]] = {}
    for service in model.services:
        if service.namespace == pod.namespace and service.selector and matches(service.selector, pod.labels):
            for port, number in service_targets(service, pod):
                spoken = standin_protocol(port.number, port.name, port.app_protocol)
                found.setdefault(number, set()).add(spoken)
    for number, protocol in declared_ports(model, pod):
        found.setdefault(number, set()).add(standin_protocol(number, protocol))
    for declared in pod.ports:
        if declared.protocol == "TCP" and declared.number not in found:
            found[declared.number] = {standin_protocol(declared.number, declared.name)}
    return sorted((number, spoken.pop() if len(spoken) == 1 else "auto") for number, spoken in found.items())


def service_targets(service: Service, pod: Pod) -> list[tuple[ServicePort, int]]:
    """The TCP ports of a Service, and the number that each has on a pod."""
    found = ((port, target_number(port, pod)) for port in service.ports if port.protocol == "TCP")
    return [(port, number) for port, number in found if number is not None]


def target_number(port: ServicePort, pod: Pod) -> int | None:
    """The number on a pod that a Service's port leads to; None if the pod has no port of that name."""
    if isinstance(port.target, int):
        return port.target
    return next(
        (own.number for own in pod.ports if (own.name, own.protocol) == (port.target, port.protocol)), None
    )
