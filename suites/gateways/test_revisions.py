"""Which Gateways of the Gateway API are this istiod's own: those of its revision, by their label or their namespace's.

istio/istio: TestGateway/tagged; pkg/revisions/tag_watcher.go.
"""

from __future__ import annotations

import pytest

from meshtest import Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop")
GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop, labels: {LABELS}}
spec:
  gatewayClassName: istio
  listeners: [{name: http, hostname: "*.example.com", port: 80, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: catalog, namespace: shop}
spec:
  parentRefs: [{name: edge}]
  hostnames: [shop.example.com]
  rules: [{backendRefs: [{name: catalog, port: 80}]}]
"""
NAMESPACE = """
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {LABELS}}
"""
TAG = """
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata:
  name: istio-revision-tag-stable
  labels: {app: sidecar-injector, istio.io/rev: REVISION, istio.io/tag: stable}
webhooks: []
"""


def answers(mesh: Mesh) -> str:
    """What the gateway answers with, or how it fails."""
    one = mesh.request("front/web", "http://shop.example.com/", address="edge-istio.shop.svc.cluster.local")
    return str(one.status or one.outcome.value)


@pytest.mark.parametrize(
    ("own", "of_namespace", "answer"),
    [
        ("", "", "200"),
        ("istio.io/rev: default", "", "200"),
        ("", "istio.io/rev: default", "200"),
        ("istio.io/rev: default", "istio.io/rev: other", "200"),
        ("istio.io/rev: other", "", "unresolved"),
        ("", "istio.io/rev: other", "unresolved"),
    ],
)
def test_a_gateway_of_another_revision_has_no_pod(
    mesh: Mesh, own: str, of_namespace: str, answer: str
) -> None:
    pushed = mesh.replace(GATEWAY.replace("LABELS", own), NAMESPACE.replace("LABELS", of_namespace))
    assert answers(mesh) == answer
    warned = [str(each) for each in pushed.notices if each.code == "revision"]
    assert len(warned) == (answer != "200")
    assert all(
        "<text>:4: warning [revision]: Gateway shop/edge: it is of the revision 'other'" in one
        for one in warned
    )


@pytest.mark.parametrize(("revision", "answer"), [("default", "200"), ("other", "unresolved")])
def test_a_tag_is_another_name_of_a_revision(mesh: Mesh, revision: str, answer: str) -> None:
    mesh.replace(GATEWAY.replace("LABELS", "istio.io/rev: stable"), TAG.replace("REVISION", revision))
    assert answers(mesh) == answer


def test_istiod_may_be_of_another_revision(meshtest_runtime: str) -> None:
    label = "istio.io/rev: canary"
    with Mesh.from_manifests(
        "fixtures/shop", engine_env={"REVISION": "canary"}, runtime=meshtest_runtime
    ) as mesh:
        mesh.apply(GATEWAY.replace("LABELS", label))
        assert answers(mesh) == "200"
