"""The PROXY protocol in front of what a subset is sent: in the version that its rule says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Mesh

ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: partner, namespace: shop}
spec:
  hosts: [partner.example.com]
  location: MESH_EXTERNAL
  resolution: DNS
  ports: [{number: 8080, name: http, protocol: HTTP}]
  endpoints: [{address: partner.example.com, labels: {app: partner}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: partner, namespace: shop}
spec: {hosts: [partner.example.com], http: [{route: [{destination: {host: partner.example.com, subset: all}}]}]}
"""
SUBSET = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: partner, namespace: shop}
spec:
  host: partner.example.com
  subsets: [{name: all, labels: {app: partner}, trafficPolicy: {proxyProtocol: {version: VERSION}}}]
"""
WITHOUT = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: partner, namespace: shop}
spec: {host: partner.example.com, subsets: [{name: all, labels: {app: partner}}]}
"""
PORT = {"number": 8080, "protocol": "HTTP", "proxyProtocol": True}
pytestmark = pytest.mark.mesh("../../fixtures/shop", external={"partner.example.com": {"ports": [PORT]}})


@pytest.mark.parametrize("version", ["V1", "V2"])
def test_a_subset_is_told_for_whom(mesh: Mesh, version: str) -> None:
    mesh.apply(ENTRY, SUBSET.replace("VERSION", version))
    one = mesh.request("shop/orders", "http://partner.example.com:8080/")
    assert one.backend is not None
    assert (one.status, one.backend.request.proxy_protocol) == (200, version[1])


def test_without_it_the_host_takes_nothing(mesh: Mesh) -> None:
    """The twin."""
    mesh.apply(ENTRY, WITHOUT)
    one = mesh.request("shop/orders", "http://partner.example.com:8080/")
    assert (one.status, one.backend) == (503, None)
