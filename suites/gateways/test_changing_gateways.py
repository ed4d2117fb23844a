"""Gateways of the Gateway API that come, change and go while the mesh runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.errors import ConfigurationRejected, ScenarioError

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh

pytestmark = pytest.mark.mesh("../../fixtures/bookinfo")

GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: istio
  LABELS
  listeners: [{name: http, port: 80, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: all}
spec: {parentRefs: [{name: edge}], rules: [{backendRefs: [{name: details, port: 9080}]}]}
"""
BY_HAND = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: istio-system}
spec:
  gatewayClassName: istio
  addresses: [{type: Hostname, value: istio-ingressgateway.istio-system.svc.cluster.local}]
  listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: all}
spec: {parentRefs: [{name: edge, namespace: istio-system}], rules: [{backendRefs: [{name: details, port: 9080}]}]}
"""
REFUSED = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: odd}
spec:
  configPatches:
    - applyTo: HTTP_FILTER
      match: {context: GATEWAY}
      patch:
        operation: INSERT_FIRST
        value:
          name: odd
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
            default_source_code: {inline_string: "this is not Lua"}
"""
POD = "default/edge-istio-0"


def gateway(*, colour: str = "") -> str:
    return GATEWAY.replace("LABELS", f"infrastructure: {{labels: {{colour: {colour}}}}}" if colour else "")


def call(mesh: Mesh, service: str = "edge-istio.default") -> Exchange:
    return mesh.request("outside", "http://shop.example.com/", address=service)


def test_a_gateway_starts_and_ends_its_pod(mesh: Mesh) -> None:
    assert mesh.model.pod(POD) is None
    for _ in range(3):  # the next one gets the same name and address
        mesh.apply(gateway())
        assert mesh.model.pod(POD) is not None
        assert call(mesh).status == 200
        mesh.delete(gateway())
        assert mesh.model.pod(POD) is None
        assert mesh.model.service("default/edge-istio") is None


def test_a_gateway_that_comes_with_what_envoy_refuses_does_not_stay(mesh: Mesh) -> None:
    with pytest.raises(ConfigurationRejected, match="edge-istio-0"):
        mesh.apply(gateway(), REFUSED)
    with pytest.raises(ScenarioError, match="no workload 'edge-istio'"):
        mesh.request("edge-istio", "http://details:9080/")
    mesh.apply(gateway())
    assert call(mesh).status == 200


def test_a_changed_pod_is_replaced_and_serves_at_once(mesh: Mesh) -> None:
    mesh.apply(gateway())
    for colour in ("red", "green", "blue"):
        mesh.apply(gateway(colour=colour))
        pod = mesh.model.pod(POD)
        assert pod is not None
        assert pod.labels["colour"] == colour
        assert call(mesh).status == 200


def test_a_new_listener_opens_its_port_on_the_pod_that_runs(mesh: Mesh) -> None:
    mesh.apply(gateway())
    before = mesh.model.pod(POD)
    assert mesh.request("outside", "http://shop.example.com:8000/", address="gateway").outcome == "refused"
    mesh.apply(gateway().replace("[{name: http,", "[{name: more, port: 8000, protocol: HTTP}, {name: http,"))
    assert mesh.request("outside", "http://shop.example.com:8000/", address="gateway").status == 200
    assert mesh.model.pod(POD) == before


def test_one_deployed_by_hand_gets_no_pod_and_uses_what_its_address_names(mesh: Mesh) -> None:
    mesh.apply(BY_HAND)
    assert [pod.key for pod in mesh.pods if pod.workload.startswith("edge")] == []
    one = call(mesh, "istio-ingressgateway.istio-system")
    assert one.status == 200
    assert one.hops[0].pod == "istio-system/istio-ingressgateway-0"


def test_whoever_is_in_the_mesh_may_come_in_by_the_gateway_too(mesh: Mesh) -> None:
    mesh.apply(GATEWAY.replace("LABELS", ""))
    one = mesh.request("reviews-v2", "http://any.example/", address="gateway")
    assert one.status == 200
    assert [hop.pod for hop in one.hops][1:] == [POD, "default/details-v1-0"]


def test_a_gateway_has_no_stand_in_that_could_tell_anything(mesh: Mesh) -> None:
    mesh.apply(GATEWAY.replace("LABELS", ""))
    with pytest.raises(ScenarioError, match=r"^default/edge-istio-0 runs no stand-in"):
        mesh.received(POD)


def test_nothing_that_comes_to_a_gateway_is_taken_over(mesh: Mesh) -> None:
    """Where nobody listens a connection is refused; a sidecar takes it, and answers that nobody is there."""
    mesh.apply(GATEWAY.replace("LABELS", ""))
    found = {}
    for key in (POD, "default/details-v1-0"):
        pod = mesh.model.pod(key)
        assert pod is not None
        one = mesh.request("outside", "http://any.example/", address=pod.ip, port=7171)
        found[key] = (one.outcome, one.status)
    assert found == {POD: ("refused", None), "default/details-v1-0": ("response", 503)}
