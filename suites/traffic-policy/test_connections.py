"""Where a VirtualService leads TCP and TLS connections: by caller, by address, by share, by subset."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.checks.statistics import window

if TYPE_CHECKING:
    from meshtest import Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop")

NEAR, FAR = "shop/orders", "front/web"
"""Callers in the namespace of what they call, and in another one."""
NOWHERE = "240.1.3.4"
BOTH = {"catalog-v1", "catalog-v2"}
SUBSETS = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: catalog, namespace: shop}
spec:
  host: catalog.shop.svc.cluster.local
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
"""
TCP_BY_CALLER = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog.shop.svc.cluster.local]
  tcp:
    - match: [{port: 9000, sourceLabels: {app: web}}]
      route: [{destination: {host: catalog.shop.svc.cluster.local, subset: v2, port: {number: 9000}}}]
    - match: [{port: 9000, sourceNamespace: shop}]
      route: [{destination: {host: catalog.shop.svc.cluster.local, subset: v1, port: {number: 9000}}}]
"""
TLS_BY_CALLER = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog.shop.svc.cluster.local, vault.example.com]
  tls:
    - match: [{port: 9443, sniHosts: [vault.example.com], sourceLabels: {app: web}}]
      route: [{destination: {host: catalog.shop.svc.cluster.local, subset: v2, port: {number: 9443}}}]
    - match: [{port: 9443, sniHosts: [vault.example.com], sourceNamespace: shop}]
      route: [{destination: {host: catalog.shop.svc.cluster.local, subset: v1, port: {number: 9443}}}]
"""
TCP_BY_SHARE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog.shop.svc.cluster.local]
  tcp:
    - match: [{port: 9000, gateways: [mesh]}]
      route:
        - {destination: {host: catalog.shop.svc.cluster.local, subset: v1, port: {number: 9000}}, weight: 90}
        - {destination: {host: catalog.shop.svc.cluster.local, subset: v2, port: {number: 9000}}, weight: 10}
"""
TLS_BY_SHARE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog.shop.svc.cluster.local, vault.example.com]
  tls:
    - match: [{port: 9443, sniHosts: [vault.example.com], gateways: [mesh]}]
      route:
        - {destination: {host: catalog.shop.svc.cluster.local, subset: v1, port: {number: 9443}}, weight: 90}
        - {destination: {host: catalog.shop.svc.cluster.local, subset: v2, port: {number: 9443}}, weight: 10}
"""
TCP_BY_ADDRESS = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [ledger.example.com]
  addresses: [240.1.0.0/16]
  location: MESH_INTERNAL
  ports: [{number: 9000, name: tcp, protocol: TCP}]
  resolution: NONE
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [ledger.example.com]
  tcp:
    - match: [{port: 9000, destinationSubnets: [240.1.1.0/24]}]
      route: [{destination: {host: catalog-v1.shop.svc.cluster.local, port: {number: 9000}}}]
    - match: [{port: 9000, destinationSubnets: [240.1.2.0/24, 240.1.3.3/32]}]
      route: [{destination: {host: catalog-v2.shop.svc.cluster.local, port: {number: 9000}}}]
"""
TLS_BY_ADDRESS = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [ledger.example.com]
  addresses: [240.1.0.0/16]
  location: MESH_INTERNAL
  ports: [{number: 9000, name: tls, protocol: TLS}]
  resolution: NONE
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [ledger.example.com]
  tls:
    - match: [{port: 9000, sniHosts: [ledger.example.com], destinationSubnets: [240.1.1.0/24]}]
      route: [{destination: {host: catalog-v1.shop.svc.cluster.local, port: {number: 9443}}}]
    - match: [{port: 9000, sniHosts: [ledger.example.com], destinationSubnets: [240.1.2.0/24, 240.1.3.3/32]}]
      route: [{destination: {host: catalog-v2.shop.svc.cluster.local, port: {number: 9443}}}]
"""
VAULT: dict[str, Any] = {"tls": {"server_name": "vault.example.com"}}
TO = {"tcp": ("tcp://catalog.shop:9000", {}), "tls": ("tls://catalog.shop:9443", VAULT)}


def answered(mesh: Mesh, caller: str, protocol: str, requests: int) -> Counter[str]:
    """Who answered connections of their own."""
    url, fields = TO[protocol]
    found = mesh.send(caller, url, requests=requests, body=b"hello", reuse=False, **fields).exchanges
    return Counter(one.backend.workload if one.backend else str(one.outcome) for one in found)


@pytest.mark.parametrize(("protocol", "policy"), [("tcp", TCP_BY_CALLER), ("tls", TLS_BY_CALLER)])
def test_connections_are_led_by_who_makes_them(mesh: Mesh, protocol: str, policy: str) -> None:
    assert set(answered(mesh, NEAR, protocol, 30)) == set(answered(mesh, FAR, protocol, 30)) == BOTH
    mesh.apply(SUBSETS, policy)
    assert answered(mesh, NEAR, protocol, 30) == {"catalog-v1": 30}
    assert answered(mesh, FAR, protocol, 30) == {"catalog-v2": 30}


@pytest.mark.parametrize(("protocol", "policy"), [("tcp", TCP_BY_SHARE), ("tls", TLS_BY_SHARE)])
def test_connections_are_shared_out_by_weight(mesh: Mesh, protocol: str, policy: str) -> None:
    assert answered(mesh, NEAR, protocol, 300)["catalog-v2"] in window(300, 0.5)
    mesh.apply(SUBSETS, policy)
    found = answered(mesh, NEAR, protocol, 300)
    assert set(found) == BOTH
    assert found["catalog-v2"] in window(300, 0.1)
    assert found["catalog-v2"] not in window(300, 0.5)


@pytest.mark.parametrize(
    ("protocol", "policy", "rest"),
    [
        ("tcp", TCP_BY_ADDRESS, "outbound|9000||ledger.example.com"),
        ("tls", TLS_BY_ADDRESS, "PassthroughCluster"),
    ],
)
def test_connections_are_led_by_the_address_they_go_to(
    mesh: Mesh, protocol: str, policy: str, rest: str
) -> None:
    """What no rule matches goes where it would go without rules; nobody is there."""
    mesh.apply(policy)

    def at(address: str) -> str:
        asked = {"address": address, "body": b"hello", "timeout": 1 if address == NOWHERE else 15}
        one = mesh.request(NEAR, f"{protocol}://ledger.example.com:9000", **asked)
        return one.backend.workload if one.backend else one.hops[0].cluster

    assert (at("240.1.1.1"), at("240.1.2.77"), at("240.1.3.3")) == ("catalog-v1", "catalog-v2", "catalog-v2")
    assert at(NOWHERE) == rest
