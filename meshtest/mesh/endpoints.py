"""EndpointSlices, as Kubernetes' controllers make them from selectors and from Endpoints.

Service + pods it selects ──► one slice per set of port numbers (pods may number a named port differently)
Endpoints of a Service without selector ──► mirrored
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshtest.mesh.fields import Fields, fields_of
from meshtest.mesh.ports import target_number
from meshtest.mesh.selectors import matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshtest.mesh.model import Manifest, Pod, Service
    from meshtest.mesh.topology import Node

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
HEADLESS = "service.kubernetes.io/headless"

Ports = tuple[tuple[str, int, str, str], ...]  # name, number, transport, application protocol


def selected(service: Service, pods: Iterable[Pod]) -> list[Pod]:
    """The pods behind a Service with a selector."""
    if not service.selector:
        return []
    return [
        pod for pod in pods if pod.namespace == service.namespace and matches(service.selector, pod.labels)
    ]


def slices_of(service: Service, pods: Iterable[Pod], nodes: Mapping[str, Node]) -> list[dict[str, Any]]:
    """The EndpointSlices of a Service with a selector; an empty one if no pod fits, as in a cluster."""
    if not service.selector or service.external_name:
        return []
    groups: dict[Ports, list[Pod]] = {}
    for pod in selected(service, pods):
        groups.setdefault(_ports(service, pod), []).append(pod)
    return [
        _slice(service, index, ports, [_endpoint(service, pod, nodes) for pod in members])
        for index, (ports, members) in enumerate((groups or {(): []}).items(), start=1)
    ]


def mirrored(manifest: Manifest, service: Service) -> list[dict[str, Any]]:
    """The EndpointSlices that mirror the Endpoints of a Service without selector."""
    return [
        _slice(
            service,
            index,
            _given_ports(subset),
            _given_endpoints(subset),
            manager="endpointslicemirroring-controller",
        )
        for index, subset in enumerate(fields_of(manifest).items("subsets"), start=1)
    ]


def service_of_slice(body: Mapping[str, Any]) -> str:
    """`namespace/name` of the Service that a slice belongs to, or the empty string."""
    metadata = body["metadata"]
    name = (metadata.get("labels") or {}).get(SERVICE_NAME)
    return f"{metadata['namespace']}/{name}" if name else ""


def _ports(service: Service, pod: Pod) -> Ports:
    found = ((port, target_number(port, pod)) for port in service.ports)
    return tuple(
        (port.name, number, port.protocol, port.app_protocol) for port, number in found if number is not None
    )


def _endpoint(service: Service, pod: Pod, nodes: Mapping[str, Node]) -> dict[str, Any]:
    ready = pod.ready or service.publish_not_ready
    endpoint: dict[str, Any] = {
        "addresses": [pod.ip],
        "conditions": {"ready": ready, "serving": pod.ready, "terminating": False},
        "targetRef": {"kind": "Pod", "namespace": pod.namespace, "name": pod.name},
    }
    if pod.node:
        endpoint["nodeName"] = pod.node
        if zone := pod_zone(pod, nodes):
            endpoint["zone"] = zone
    if pod.hostname and pod.subdomain == service.name:
        endpoint["hostname"] = pod.hostname
    return endpoint


def pod_zone(pod: Pod, nodes: Mapping[str, Node]) -> str:
    """The zone of the node that a pod is on."""
    node = nodes.get(pod.node)
    return node.labels.get("topology.kubernetes.io/zone", "") if node else ""


def _slice(
    service: Service,
    index: int,
    ports: Ports,
    endpoints: Sequence[Mapping[str, Any]],
    *,
    manager: str = "endpointslice-controller.k8s.io",
) -> dict[str, Any]:
    labels = {SERVICE_NAME: service.name, MANAGED_BY: manager, **({HEADLESS: ""} if service.headless else {})}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{service.name}-endpoints-{index}",
            "namespace": service.namespace,
            "labels": labels,
        },
        "addressType": "IPv4",
        "endpoints": list(endpoints),
        "ports": [
            {
                "name": name,
                "port": number,
                "protocol": transport,
                **({"appProtocol": protocol} if protocol else {}),
            }
            for name, number, transport, protocol in ports
        ],
    }


def _given_ports(subset: Fields) -> Ports:
    return tuple(
        (port.text("name"), port.port("port"), port.text("protocol", "TCP"), port.text("appProtocol"))
        for port in subset.items("ports")
    )


def _given_endpoints(subset: Fields) -> list[dict[str, Any]]:
    return [
        {
            "addresses": [address.text("ip")],
            "conditions": {"ready": ready, "serving": ready, "terminating": False},
            **({"hostname": address.text("hostname")} if address.text("hostname") else {}),
        }
        for key, ready in (("addresses", True), ("notReadyAddresses", False))
        for address in subset.items(key)
    ]
