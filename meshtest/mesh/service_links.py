"""The variables by which a container finds the Services of its namespace (kubernetes: pkg/kubelet/envvars/envvars.go).

REDIS_SERVICE_HOST, REDIS_SERVICE_PORT, REDIS_SERVICE_PORT_NAME; and as Docker's links: REDIS_PORT_6379_TCP, ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshtest.mesh.model import Service


def service_links(services: Iterable[Service], namespace: str) -> dict[str, str]:
    """What the kubelet adds to every environment, unless the pod says `enableServiceLinks: false`."""
    found: dict[str, str] = {}
    for service in services:
        if service.namespace == namespace and service.cluster_ip and service.ports:
            found |= _links(service)
    return found


def _links(service: Service) -> dict[str, str]:
    name, host, first = _upper(service.name), service.cluster_ip, service.ports[0]
    found = {f"{name}_SERVICE_HOST": host, f"{name}_SERVICE_PORT": str(first.number)}
    found |= {
        f"{name}_SERVICE_PORT_{_upper(port.name)}": str(port.number) for port in service.ports if port.name
    }
    for port in service.ports:
        protocol = port.protocol.lower()
        url, prefix = f"{protocol}://{host}:{port.number}", f"{name}_PORT_{port.number}_{port.protocol}"
        if port is first:
            found[f"{name}_PORT"] = url
        found |= {
            prefix: url,
            f"{prefix}_PROTO": protocol,
            f"{prefix}_PORT": str(port.number),
            f"{prefix}_ADDR": host,
        }
    return found


def _upper(name: str) -> str:
    return name.upper().replace("-", "_")
