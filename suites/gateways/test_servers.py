"""Where a Gateway's servers listen, and how rules tell requests by the scheme of the server that they came to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from suites.sockets import listening

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh
    from meshtest.envoy.pki import Certificate

pytestmark = pytest.mark.mesh("../../fixtures/bookinfo")

Made = Callable[..., str]
ROUTE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop.example.com]
  gateways: [shop]
  http: [{route: [{destination: {host: reviews, port: {number: 9080}}}]}]
"""
BOUND = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop}
spec:
  selector: {istio: ingressgateway}
  servers:
    - {name: inside, port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example.com], bind: 127.0.0.1}
"""
UNBOUND = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop}
spec:
  selector: {istio: ingressgateway}
  servers: [{name: inside, port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example.com]}]
"""
BOTH = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop}
spec:
  selector: {istio: ingressgateway}
  servers:
    - {port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example.com]}
    - port: {number: 443, name: https, protocol: HTTPS}
      hosts: [shop.example.com]
      tls: {mode: SIMPLE, credentialName: shop}
"""
BY_SCHEME = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop.example.com]
  gateways: [shop]
  http:
    - {match: [{uri: {prefix: /exact}, scheme: {exact: https}}], directResponse: {status: 299}}
    - {match: [{uri: {prefix: /prefix}, scheme: {prefix: https}}], directResponse: {status: 299}}
    - {match: [{uri: {prefix: /regex}, scheme: {regex: "http.+"}}], directResponse: {status: 299}}
    - {match: [{uri: {prefix: /http}, scheme: {exact: http}}], directResponse: {status: 299}}
    - {route: [{destination: {host: reviews, port: {number: 9080}}}]}
"""


def call(mesh: Mesh, scheme: str, path: str = "/") -> Exchange:
    return mesh.request("outside", f"{scheme}://shop.example.com{path}", address="gateway")


def test_a_server_may_be_for_one_address_alone(mesh: Mesh) -> None:
    mesh.apply(UNBOUND, ROUTE)
    assert call(mesh, "http").status == 200
    mesh.apply(BOUND)
    assert call(mesh, "http").outcome == "refused"
    assert "127.0.0.1:8080" in listening(
        mesh, "istio-system/istio-ingressgateway"
    )  # where the Service's port 80 leads


def test_rules_by_scheme(mesh: Mesh, shown: Certificate, tls_secret: Made) -> None:
    mesh.apply(BOTH, BY_SCHEME, tls_secret("shop", shown))
    for path in ("/exact", "/prefix", "/regex"):
        assert (call(mesh, "https", path).status, call(mesh, "http", path).status) == (299, 200)
    assert (call(mesh, "https", "/http").status, call(mesh, "http", "/http").status) == (200, 299)
