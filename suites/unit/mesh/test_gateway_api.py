"""What a Gateway of the Gateway API needs of the rest, and what is put into the mesh for it."""

from __future__ import annotations

from typing import Any

import pytest

from meshtest.errors import ManifestError
from meshtest.mesh.build import build_model
from meshtest.mesh.gateway_api import asked, placed
from meshtest.mesh.manifests import load_text
from meshtest.mesh.model import MeshModel, PodKind

GATEWAYS = """
apiVersion: v1
kind: Namespace
metadata: {name: edge, labels: {team: edge}}
---
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: web}}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: one, namespace: edge}
spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: two}
spec: {gatewayClassName: CLASS, listeners: [{name: http, port: 80, protocol: HTTP}]}
"""
WAYPOINTS = """
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: mine}
spec: {controllerName: istio.io/mesh-controller}
"""


def made(kind: str, name: str, gateway: str, namespace: str, spec: dict[str, Any]) -> dict[str, Any]:
    """As istiod's template has it, in short."""
    owner = {"kind": "Gateway", "name": gateway, "uid": "1"}
    return {
        "apiVersion": "apps/v1" if kind == "Deployment" else "v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "ownerReferences": [owner]},
        "spec": spec,
    }


def address(model: MeshModel, service: str) -> str:
    found = model.service(service)
    assert found is not None
    return found.cluster_ip


def test_nothing_is_asked_where_no_gateway_is() -> None:
    assert asked(load_text(GATEWAYS.partition("---\napiVersion: gateway")[0])) == []


def test_the_controller_sees_labelled_namespaces_and_what_has_a_name_already() -> None:
    found = {(one["kind"], one["metadata"]["name"]): one for one in asked(load_text(GATEWAYS))}
    assert [kind for kind, _ in found] == ["Namespace", "Namespace", "Service", "Gateway", "Gateway"]
    labels = found["Namespace", "edge"]["metadata"]["labels"]
    assert labels == {"team": "edge", "kubernetes.io/metadata.name": "edge"}
    metadata = {"namespace": "default", "name": "web", "labels": {"app": "web"}}
    assert found["Service", "web"] == {"apiVersion": "v1", "kind": "Service", "metadata": metadata}


def test_what_it_makes_stands_where_the_gateways_do_in_their_order() -> None:
    manifests = load_text(GATEWAYS, "edge.yaml")
    bodies = [
        made("Service", f"{name}-istio", name, space, {})
        for name, space in (("two", "default"), ("one", "edge"))
    ]
    found = placed(bodies, manifests)
    assert [(str(one.ref), one.location.line) for one in found] == [
        ("Service edge/one-istio", 11),
        ("Service default/two-istio", 16),
    ]


@pytest.mark.parametrize(
    ("name", "extra"),
    [
        ("istio-waypoint", ""),
        ("mine", WAYPOINTS),
    ],
    ids=["by name", "by controller"],
)
def test_ambient_classes_are_refused(name: str, extra: str) -> None:
    manifests = load_text(GATEWAYS.replace("CLASS", name) + extra, "edge.yaml")
    with pytest.raises(
        ManifestError, match=rf"edge.yaml:19: spec.gatewayClassName: class '{name}' is one of ambient"
    ):
        build_model(manifests)


def test_a_deployment_that_is_made_becomes_a_gateway_pod() -> None:
    manifests = load_text(GATEWAYS)
    label = {"gateway.networking.k8s.io/gateway-name": "one"}
    box = {"name": "istio-proxy", "image": "proxy", "args": ["proxy", "router"]}
    labels = {**label, "sidecar.istio.io/inject": "false"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [box]}}
    deployment = {"selector": {"matchLabels": label}, "template": template}
    service = {"selector": label, "ports": [{"port": 80}], "type": "LoadBalancer"}
    bodies = [
        made("Deployment", "one-istio", "one", "edge", deployment),
        made("Service", "one-istio", "one", "edge", service),
    ]
    model = build_model(manifests, made=placed(bodies, manifests))
    (pod,) = model.pods
    assert (pod.key, pod.kind) == ("edge/one-istio-0", PodKind.GATEWAY)
    assert [backend.ip for backend in model.cluster_ips[address(model, "edge/one-istio")][80]] == [pod.ip]
    assert model.manifests == manifests
