"""Shares of copies, by each of the names that the share has, and the port that copies go to."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from meshtest.checks.statistics import window

if TYPE_CHECKING:
    from meshtest import Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop")

CLIENT, URL = "shop/orders", "http://catalog/books"
PERCENTAGE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog]
  http:
    - route: [{destination: {host: catalog-v1}}]
      mirror: {host: catalog-v2}
      mirrorPercentage: {value: 25}
"""
PERCENT = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog]
  http:
    - route: [{destination: {host: catalog-v1}}]
      mirror: {host: catalog-v2}
      mirrorPercent: 25
"""
SNAKE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog]
  http:
    - route: [{destination: {host: catalog-v1}}]
      mirror: {host: catalog-v2}
      mirror_percent: 25
"""
ALL = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec: {hosts: [catalog], http: [{route: [{destination: {host: catalog-v1}}], mirror: {host: catalog-v2}}]}
"""
NONE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog]
  http:
    - {route: [{destination: {host: catalog-v1}}], mirror: {host: catalog-v2}, mirrorPercentage: {value: 0}}
"""
TO_A_PORT = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog]
  http:
    - route: [{destination: {host: catalog-v1, port: {number: 80}}}]
      mirrors:
        - {destination: {host: catalog-v2, port: {number: 8081}}}
        - {destination: {host: depot.stock.svc.cluster.local, port: {number: 80}}, percentage: {value: 100}}
"""


def copies(mesh: Mesh, requests: int) -> int:
    """How many of so many requests were copied to the other version; each was answered by the first."""
    found = mesh.send(CLIENT, URL, requests=requests, concurrency=4).exchanges
    assert {one.backend.workload for one in found if one.backend} == {"catalog-v1"}
    assert all(hop.pod == "shop/catalog-v2-0" for one in found for hop in one.mirrors)
    return sum(len(one.mirrors) for one in found)


@pytest.mark.parametrize("policy", [PERCENTAGE, PERCENT, SNAKE], ids=["percentage", "percent", "snake-case"])
def test_a_share_is_copied(mesh: Mesh, policy: str) -> None:
    mesh.apply(policy)
    assert copies(mesh, 300) in window(300, 0.25)


@pytest.mark.parametrize(("policy", "share"), [(ALL, 1), (NONE, 0)])
def test_all_or_none_are_copied(mesh: Mesh, policy: str, share: int) -> None:
    mesh.apply(policy)
    assert copies(mesh, 40) == 40 * share


def test_copies_go_to_a_port_of_their_own(mesh: Mesh) -> None:
    mesh.apply(TO_A_PORT)
    mesh.received("shop/catalog-v2", forget=True)
    one = mesh.request(CLIENT, URL)
    assert one.status == 200
    assert Counter(hop.pod for hop in one.mirrors) == {"shop/catalog-v2-0": 1, "stock/depot-0": 1}
    assert [each["protocol"] for each in mesh.received("shop/catalog-v2")] == ["HTTP/2"]
    assert one.backend is not None
    assert one.backend.request.protocol == "HTTP/1.1"
