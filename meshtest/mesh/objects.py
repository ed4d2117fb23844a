"""What the API server would hold: manifests with its defaults, and what controllers make of them."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_OID, uuid5

from meshtest.errors import ManifestError
from meshtest.mesh.fields import fields_of
from meshtest.mesh.injection import PROXY_CONTAINER
from meshtest.mesh.kinds import group_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshtest.mesh.model import Manifest, Pod, Service, ServicePort
    from meshtest.mesh.topology import Node

Identity = tuple[str, str, str, str]

FIRST_SECOND = datetime(2024, 1, 1, tzinfo=UTC)
NAME_LABEL = "kubernetes.io/metadata.name"
API_VERSIONS = {
    "Deployment": "apps/v1",
    "ReplicaSet": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
}


def identity_of(body: Mapping[str, Any]) -> Identity:
    """Group, kind, namespace and name."""
    metadata = body["metadata"]
    return group_of(body["apiVersion"]), body["kind"], metadata.get("namespace", ""), metadata["name"]


def namespace_object(name: str, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A Namespace with the label that every one has."""
    body = given or {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    return with_labels(body, {NAME_LABEL: name})


def service_account(namespace: str, name: str) -> dict[str, Any]:
    """A ServiceAccount that no manifest brings."""
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": namespace, "name": name}}


def node_object(node: Node, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """A Node with its address."""
    body = given or {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node.name}}
    status = {
        "addresses": [{"type": "InternalIP", "address": node.ip}, {"type": "Hostname", "address": node.name}],
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    return {**with_labels(body, node.labels), "status": status}


def service_object(body: Mapping[str, Any], service: Service) -> dict[str, Any]:
    """A Service with its cluster IP and the defaults of its ports."""
    spec = dict(body.get("spec") or {})
    spec.setdefault("type", "ClusterIP")
    spec["ports"] = [
        {**written, "protocol": port.protocol, "targetPort": port.target, **_node_port(port)}
        for written, port in zip(spec.get("ports") or [], service.ports, strict=True)
    ]
    if not service.external_name:
        address = "None" if service.headless else service.cluster_ip
        spec |= {"clusterIP": address, "clusterIPs": [address], "ipFamilies": ["IPv4"]}
        spec["ipFamilyPolicy"] = "SingleStack"
    status = {"loadBalancer": {"ingress": [{"ip": service.load_balancer}]}} if service.load_balancer else {}
    return {**body, "spec": spec, "status": status}


def _node_port(port: ServicePort) -> dict[str, int]:
    return {"nodePort": port.node_port} if port.node_port else {}


def pod_object(pod: Pod, node: Node | None) -> dict[str, Any]:
    """A running Pod."""
    ready = "True" if pod.ready else "False"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**_pod_metadata(pod), "labels": dict(pod.labels), "annotations": dict(pod.annotations)},
        "spec": _pod_spec(pod),
        "status": {
            "phase": "Running",
            "podIP": pod.ip,
            "podIPs": [{"ip": pod.ip}],
            **({"hostIP": node.ip} if node and node.ip else {}),
            "conditions": [{"type": kind, "status": ready} for kind in ("Ready", "ContainersReady")],
        },
    }


def _pod_metadata(pod: Pod) -> dict[str, Any]:
    metadata: dict[str, Any] = {"namespace": pod.namespace, "name": pod.name}
    if pod.workload_kind in API_VERSIONS:
        # istiod asks for the controller only where the name is generated (istio/istio: pkg/kube/util.go)
        metadata["generateName"] = f"{pod.workload}-"
        metadata["ownerReferences"] = [
            {
                "apiVersion": API_VERSIONS[pod.workload_kind],
                "kind": pod.workload_kind,
                "name": pod.workload,
                "uid": f"{pod.workload_kind}-{pod.workload_key}",
                "controller": True,
            }
        ]
    return metadata


def _pod_spec(pod: Pod) -> dict[str, Any]:
    ports = [
        {
            "containerPort": port.number,
            "protocol": port.protocol,
            **({"name": port.name} if port.name else {}),
        }
        for port in pod.ports
    ]
    containers: list[dict[str, Any]] = [{"name": box.name, "image": box.image} for box in pod.containers]
    containers[0]["ports"] = ports
    if pod.has_envoy and all(box["name"] != PROXY_CONTAINER for box in containers):
        # by which the analyzers know who is in the mesh
        containers.append({"name": PROXY_CONTAINER, "image": "istio/proxyv2"})
    spec: dict[str, Any] = {"serviceAccountName": pod.service_account, "containers": containers}
    told = {
        "nodeName": pod.node,
        "hostname": pod.hostname,
        "subdomain": pod.subdomain,
        "hostNetwork": pod.host_network,
    }
    return {**spec, **{key: value for key, value in told.items() if value}}


def secret_object(manifest: Manifest) -> dict[str, Any]:
    """A Secret whose `stringData` became `data`."""
    top = fields_of(manifest)
    given = top.mapping("data")
    plain = top.texts("stringData")
    for key in given.value:
        try:
            base64.b64decode("".join(given.text(key).split()), validate=True)
        except binascii.Error:
            raise given.error(key, "not base64; plain text belongs in stringData") from None
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in plain.items()}
    body = {key: value for key, value in manifest.body.items() if key != "stringData"}
    return {"type": "Opaque", **body, "data": {**given.value, **encoded}}


def with_labels(body: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    """The object with more labels."""
    metadata = body["metadata"]
    return {**body, "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), **labels}}}


def stamp(
    objects: Iterable[Mapping[str, Any]], before: Mapping[Identity, int]
) -> tuple[list[Mapping[str, Any]], dict[Identity, int]]:
    """Give every object an id, and the time it was first applied at, one second after the other.

    "The oldest wins" is a rule of Istio and of the Gateway API, so the order of application has to show; a
    time that a manifest says is kept. istiod tells two policies apart by their ids.
    """
    stamped: list[Mapping[str, Any]] = []
    created: dict[Identity, int] = {}
    following = max(before.values(), default=-1) + 1
    for body in objects:
        key = identity_of(body)
        if key in created:
            raise ManifestError(f"{body['kind']} {key[2]}/{key[3]} stands there twice")
        created[key] = before.get(key, following)
        following = max(following, created[key] + 1)
        metadata = body["metadata"]
        time = metadata.get("creationTimestamp") or _time(created[key])
        uid = metadata.get("uid") or str(uuid5(NAMESPACE_OID, f"{'/'.join(key)} {created[key]}"))
        stamped.append({**body, "metadata": {**metadata, "uid": uid, "creationTimestamp": time}})
    return stamped, created


def _time(number: int) -> str:
    return (FIRST_SECOND + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ")
