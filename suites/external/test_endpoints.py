"""Endpoints that a ServiceEntry lists or WorkloadEntries bring: their weight, place, network, ports and identity."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop")

URL = "http://books.example.com/"
NEAR = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: near, namespace: shop}
spec:
  selector: {matchLabels: {app: near}}
  template:
    metadata: {labels: {app: near, istio-locality: r2.z1, topology.istio.io/network: west}}
    spec: {containers: [{name: near, image: near}]}
"""
LISTED = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: books, namespace: shop}
spec:
  hosts: [books.example.com]
  addresses: [240.1.1.1]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints:
    - {address: V1, ports: {http: 8080}, weight: 90, locality: r1/z1, network: east, labels: {version: one}}
    - {address: V2, ports: {http: 8080}, weight: 10, locality: r2/z1, network: west, labels: {version: two}}
"""
BROUGHT = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: books, namespace: shop}
spec:
  hosts: [books.example.com]
  addresses: [240.1.1.1]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  workloadSelector: {labels: {app: books}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: one, namespace: shop}
spec:
  address: V1
  ports: {http: 8080}
  weight: 90
  locality: r1/z1
  network: east
  labels: {app: books, version: one}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: two, namespace: shop}
spec:
  address: V2
  ports: {http: 8080}
  weight: 10
  locality: r2/z1
  network: west
  labels: {app: books, version: two}
"""
IN_TURN = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: books, namespace: shop}
spec: {host: books.example.com, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}
"""
NEAR_FIRST = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: books, namespace: shop}
spec: {host: books.example.com, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 100}}}
"""
OWN_NETWORK_FIRST = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: books, namespace: shop}
spec:
  host: books.example.com
  trafficPolicy:
    outlierDetection: {consecutive5xxErrors: 100}
    loadBalancer: {localityLbSetting: {failoverPriority: [topology.istio.io/network]}}
"""
SUBSETS = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: books, namespace: shop}
spec: {host: books.example.com, subsets: [{name: two, labels: {version: two}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: books, namespace: shop}
spec: {hosts: [books.example.com], http: [{route: [{destination: {host: books.example.com, subset: two}}]}]}
"""
IDENTIFIED = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: books, namespace: shop}
spec:
  hosts: [books.example.com]
  addresses: [240.1.1.1]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]
  endpoints: [{address: V1, serviceAccount: ACCOUNT, labels: {security.istio.io/tlsMode: istio}}]
"""
NAMED = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: books, namespace: shop}
spec:
  hosts: [books.example.com]
  addresses: [240.1.1.1]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]
  subjectAltNames: [spiffe://cluster.local/ns/shop/sa/ACCOUNT]
  endpoints: [{address: V1, labels: {security.istio.io/tlsMode: istio}}]
"""
BROUGHT_IDENTIFIED = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: books, namespace: shop}
spec:
  hosts: [books.example.com]
  addresses: [240.1.1.1]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]
  workloadSelector: {labels: {app: books}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: one, namespace: shop}
spec: {address: V1, serviceAccount: ACCOUNT, labels: {app: books, security.istio.io/tlsMode: istio}}
"""
listed = pytest.mark.parametrize("policy", [LISTED, BROUGHT], ids=["listed", "brought"])


def placed(mesh: Mesh, policy: str) -> str:
    """A policy with the addresses of the two pods."""
    for number in ("1", "2"):
        policy = policy.replace(f"V{number}", mesh.model.pods_of(f"shop/catalog-v{number}")[0].ip)
    return policy


def answered(mesh: Mesh, caller: str, requests: int = 40) -> Counter[str]:
    found = mesh.send(caller, URL, requests=requests, concurrency=1, address="240.1.1.1").exchanges
    return Counter(one.backend.workload if one.backend else f"{one.status}" for one in found)


@listed
def test_each_has_its_weight(mesh: Mesh, policy: str) -> None:
    mesh.apply(placed(mesh, policy), IN_TURN)
    found = answered(mesh, "shop/orders", 100)
    assert set(found) == {"catalog-v1", "catalog-v2"}
    assert found["catalog-v1"] in (89, 90, 91)


@listed
def test_each_has_its_place_and_network(mesh: Mesh, policy: str) -> None:
    mesh.apply(placed(mesh, policy), NEAR, NEAR_FIRST)
    assert answered(mesh, "shop/near") == {"catalog-v2": 40}
    assert set(answered(mesh, "shop/orders", 100)) == {"catalog-v1", "catalog-v2"}
    elsewhere = placed(mesh, policy).replace("locality: r2/z1", "locality: r1/z1")
    mesh.apply(elsewhere, OWN_NETWORK_FIRST)
    assert answered(mesh, "shop/near") == {"catalog-v2": 40}
    mesh.apply(elsewhere.replace("network: west", "network: east"))
    assert set(answered(mesh, "shop/near", 100)) == {"catalog-v1", "catalog-v2"}


@listed
def test_each_has_labels_for_subsets(mesh: Mesh, policy: str) -> None:
    mesh.apply(placed(mesh, policy), SUBSETS)
    assert answered(mesh, "shop/orders") == {"catalog-v2": 40}


@pytest.mark.parametrize(
    "policy", [IDENTIFIED, NAMED, BROUGHT_IDENTIFIED], ids=["account", "name", "brought"]
)
def test_each_has_to_be_who_it_is_said_to_be(mesh: Mesh, policy: str) -> None:
    mesh.apply(placed(mesh, policy).replace("ACCOUNT", "default"))
    one = mesh.request("shop/orders", URL, address="240.1.1.1")
    assert (one.status, one.peer_identity) == (200, "spiffe://cluster.local/ns/shop/sa/default")
    mesh.apply(placed(mesh, policy).replace("ACCOUNT", "else"))
    one = mesh.request("shop/orders", URL, address="240.1.1.1")
    assert (one.status, one.backend) == (503, None)
    assert "SAN_matcher" in one.hops[0].raw["upstream_failure"]
