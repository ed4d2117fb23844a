"""Policies that name the Gateway that they are for, in either way, and are for no other one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh

pytestmark = pytest.mark.mesh("../../fixtures/bookinfo")

GATEWAYS = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: side}
spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: details}
spec:
  parentRefs:
    - {group: gateway.networking.k8s.io, kind: Gateway, namespace: default, name: edge}
    - {group: gateway.networking.k8s.io, kind: Gateway, namespace: default, name: side}
  rules: [{backendRefs: [{group: "", kind: Service, namespace: default, name: details, port: 9080}]}]
"""
DENIED = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: edge}
spec:
  targetRef: {group: gateway.networking.k8s.io, kind: Gateway, name: edge}
  action: DENY
  rules: [{to: [{operation: {paths: [/denied]}}]}]
"""
DENIED_TOO = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: edge}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  action: DENY
  rules: [{to: [{operation: {paths: [/denied]}}]}]
"""
TOKENS = """
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: edge}
spec:
  targetRef: {group: gateway.networking.k8s.io, kind: Gateway, name: edge}
  jwtRules: [{issuer: issuer.example.com, jwks: KEYS}]
"""
TOKENS_TOO = """
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: edge}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  jwtRules: [{issuer: issuer.example.com, jwks: KEYS}]
"""
PATCH = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: edge}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  configPatches:
    - applyTo: HTTP_FILTER
      match: {context: GATEWAY}
      patch:
        operation: INSERT_FIRST
        value:
          name: own.lua
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
            default_source_code:
              inline_string: 'function envoy_on_request(h) h:respond({[":status"] = "299"}, "") end'
"""
EXTENSION = """
apiVersion: extensions.istio.io/v1alpha1
kind: TrafficExtension
metadata: {name: edge}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  lua: {inlineCode: 'function envoy_on_request(h) h:respond({[":status"] = "299"}, "") end'}
"""
LOGGED = """
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: edge}
spec:
  targetRef: {group: gateway.networking.k8s.io, kind: Gateway, name: edge}
  accessLogging: [{providers: [{name: envoy}], match: {mode: CLIENT_AND_SERVER}}]
"""
LOGGED_TOO = """
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: edge}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  accessLogging: [{providers: [{name: envoy}], match: {mode: CLIENT_AND_SERVER}}]
"""
BAD_TOKEN = {"authorization": "Bearer no-token"}


def call(mesh: Mesh, gateway: str) -> Exchange:
    return mesh.request(
        "outside", "http://shop.example.com/denied", address=f"{gateway}-istio.default", headers=BAD_TOKEN
    )


@pytest.mark.parametrize(
    ("policy", "status"),
    [(DENIED, 403), (DENIED_TOO, 403), (TOKENS, 401), (TOKENS_TOO, 401), (PATCH, 299), (EXTENSION, 299)],
    ids=["authorization", "authorizations", "tokens", "tokens-too", "patch", "extension"],
)
def test_a_policy_is_for_one_gateway(mesh: Mesh, policy: str, status: int) -> None:
    mesh.apply(GATEWAYS)
    assert (call(mesh, "edge").status, call(mesh, "side").status) == (200, 200)
    mesh.apply(policy.replace("KEYS", f"'{mesh.jwks}'"))
    assert (call(mesh, "edge").status, call(mesh, "side").status) == (status, 200)


@pytest.mark.parametrize("policy", [LOGGED, LOGGED_TOO], ids=["one", "several"])
def test_lines_are_written_by_one_gateway(mesh: Mesh, policy: str) -> None:
    mesh.apply(GATEWAYS, policy)
    for gateway in ("edge", "side"):
        sent = mesh.send(
            "outside", "http://shop.example.com/", requests=2, address=f"{gateway}-istio.default"
        )
        pods = {
            line.pod.rpartition("-")[0]
            for one in mesh.collect(sent).exchanges
            for line in one.access_log or ()
        }
        assert pods == ({"default/edge-istio"} if gateway == "edge" else set())
