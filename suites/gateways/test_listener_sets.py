"""ListenerSets with TLS, hostnames and rules of their own; who may bring them; and what Gateways say of their pods."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh
    from meshtest.envoy.pki import Certificate

pytestmark = pytest.mark.mesh("../../fixtures/bookinfo")

Made = Callable[..., str]
SPACES = """
apiVersion: v1
kind: Namespace
metadata: {name: team, labels: {tier: gold}}
---
apiVersion: v1
kind: Namespace
metadata: {name: other, labels: {tier: tin}}
"""
GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: istio
  allowedListeners: {namespaces: {from: Selector, selector: SELECTOR}}
  listeners: [{name: http, port: 80, protocol: HTTP}]
"""
BY_LABEL = GATEWAY.replace("SELECTOR", "{matchLabels: {tier: gold}}")
BY_EXPRESSION = GATEWAY.replace(
    "SELECTOR", "{matchExpressions: [{key: tier, operator: NotIn, values: [tin, lead]}]}"
)
LISTENERS = """
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: more, namespace: team}
spec:
  parentRef: {group: gateway.networking.k8s.io, kind: Gateway, namespace: default, name: edge}
  listeners:
    - name: https
      port: 8443
      protocol: HTTPS
      hostname: shop.example.com
      tls: {mode: Terminate, certificateRefs: [{group: "", kind: Secret, namespace: team, name: shop}]}
      allowedRoutes:
        namespaces: {from: Selector, selector: {matchLabels: {kubernetes.io/metadata.name: default}}}
        kinds: [{group: gateway.networking.k8s.io, kind: HTTPRoute}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: more}
spec:
  parentRefs: [{group: gateway.networking.k8s.io, kind: ListenerSet, namespace: team, name: more}]
  rules: [{backendRefs: [{name: details, port: 9080}]}]
"""
FIRST = "from: Selector, selector: {matchLabels: {kubernetes.io/metadata.name: default}}"
LARGE = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: large}
spec:
  gatewayClassName: istio
  infrastructure: {parametersRef: {group: "", kind: ConfigMap, name: large}}
  listeners: [{name: http, port: 80, protocol: HTTP}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: large}
data:
  deployment: |
    spec: {replicas: 2}
"""


def call(mesh: Mesh, host: str = "shop.example.com") -> Exchange:
    return mesh.request("outside", f"https://{host}:8443/", address="edge-istio.default")


@pytest.mark.parametrize("gateway", [BY_LABEL, BY_EXPRESSION], ids=["label", "expression"])
def test_a_namespace_brings_listeners_of_its_own(
    mesh: Mesh, shown: Certificate, tls_secret: Made, gateway: str
) -> None:
    mesh.apply(SPACES, gateway, LISTENERS, tls_secret("shop", shown, namespace="team"))
    assert call(mesh).status == 200
    assert call(mesh, "else.example.com").outcome in {"handshake-failure", "reset"}


@pytest.mark.parametrize("gateway", [BY_LABEL, BY_EXPRESSION], ids=["label", "expression"])
def test_one_that_is_not_selected_does_not(
    mesh: Mesh, shown: Certificate, tls_secret: Made, gateway: str
) -> None:
    elsewhere = LISTENERS.replace("namespace: team", "namespace: other")
    mesh.apply(SPACES, gateway, elsewhere, tls_secret("shop", shown, namespace="other"))
    assert call(mesh).outcome == "refused"


@pytest.mark.parametrize(
    ("allowed", "status"),
    [
        ("from: All", 200),
        ("from: Same", 404),
        ("from: Selector, selector: {matchExpressions: [{key: tier, operator: DoesNotExist}]}", 200),
        ("from: Selector, selector: {matchExpressions: [{key: tier, operator: Exists}]}", 404),
    ],
    ids=["all", "same", "without-label", "with-label"],
)
def test_a_listener_takes_routes_that_it_allows(
    mesh: Mesh, shown: Certificate, tls_secret: Made, allowed: str, status: int
) -> None:
    mesh.apply(
        SPACES, BY_LABEL, LISTENERS.replace(FIRST, allowed), tls_secret("shop", shown, namespace="team")
    )
    assert call(mesh).status == status


def test_parameters_change_a_gateways_pods(mesh: Mesh) -> None:
    plain = LARGE.replace(
        '  infrastructure: {parametersRef: {group: "", kind: ConfigMap, name: large}}\n', ""
    )
    for text, pods in ((plain, 1), (LARGE, 2)):
        mesh.apply(text)
        assert len(mesh.model.pods_of("default/large-istio")) == pods
