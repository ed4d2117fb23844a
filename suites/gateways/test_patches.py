"""EnvoyFilters at gateways: by the gateway, its server's port, name and SNI."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Mesh
    from meshtest.envoy.pki import Authority

pytestmark = pytest.mark.mesh("../../fixtures/bookinfo")

Made = Callable[..., str]
SERVERS = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop}
spec:
  selector: {istio: ingressgateway}
  servers:
    - port: {number: 443, name: https-one, protocol: HTTPS}
      hosts: [one.example.com]
      tls: {mode: SIMPLE, credentialName: shop}
    - port: {number: 443, name: https-two, protocol: HTTPS}
      hosts: [two.example.com]
      tls: {mode: SIMPLE, credentialName: shop}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [one.example.com, two.example.com]
  gateways: [shop]
  http: [{route: [{destination: {host: reviews, port: {number: 9080}}}]}]
"""
CHAIN = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: own, namespace: istio-system}
spec:
  workloadSelector: {labels: {istio: ingressgateway}}
  configPatches:
    - applyTo: HTTP_FILTER
      match: {context: GATEWAY, listener: {filterChain: {sni: one.example.com}}}
      patch:
        operation: INSERT_FIRST
        value:
          name: own.lua
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
            default_source_code:
              inline_string: function envoy_on_request(h) h:headers():add("x-own", "yes") end
"""
ROUTE = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: own, namespace: istio-system}
spec:
  workloadSelector: {labels: {istio: ingressgateway}}
  configPatches:
    - applyTo: VIRTUAL_HOST
      match: {context: GATEWAY, routeConfiguration: MATCH}
      patch: {operation: MERGE, value: {request_headers_to_add: [{header: {key: x-own, value: "yes"}}]}}
"""
BY_PORT_NAME = ROUTE.replace("MATCH", "{portName: https-one}")
BY_PORT = ROUTE.replace("MATCH", "{portNumber: 443, portName: https-one}")
BY_GATEWAY = ROUTE.replace("MATCH", "{gateway: default/shop, portName: https-one}")
OTHER_PORT = ROUTE.replace("MATCH", "{portNumber: 80, portName: https-one}")
OTHER_GATEWAY = ROUTE.replace("MATCH", "{gateway: default/else}")


@pytest.fixture
def serving(mesh: Mesh, authority: Authority, tls_secret: Made) -> Mesh:
    shown = authority.issue("", dns=("one.example.com", "two.example.com"))
    mesh.apply(SERVERS, tls_secret("shop", shown))
    return mesh


@pytest.mark.parametrize(
    ("policy", "marked"),
    [
        (CHAIN, ["one"]),
        (BY_PORT_NAME, ["one"]),
        (BY_PORT, ["one"]),
        (BY_GATEWAY, ["one"]),
        (OTHER_PORT, []),
        (OTHER_GATEWAY, []),
    ],
    ids=["sni", "port-name", "port", "gateway", "other-port", "other-gateway"],
)
def test_a_server_is_picked_out(serving: Mesh, policy: str, marked: list[str]) -> None:
    serving.apply(policy)
    found = []
    for name in ("one", "two"):
        one = serving.request("outside", f"https://{name}.example.com/", address="gateway")
        assert one.backend is not None
        if one.backend.request.headers.get("x-own") == ["yes"]:
            found.append(name)
    assert found == marked
