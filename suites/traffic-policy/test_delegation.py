"""VirtualServices that leave some of their rules to others, in other namespaces too, and whom they are exported to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop")

NEAR, FAR = "shop/orders", "front/web"
ROOT = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog.shop.svc.cluster.local]
  http:
    - match: [{uri: {prefix: /depot}}]
      delegate: {name: depot, namespace: stock}
    - match: [{uri: {prefix: /near}}]
      delegate: {name: near}
    - route: [{destination: {host: catalog.shop.svc.cluster.local}}]
"""
BELOW = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: depot, namespace: stock}
spec:
  exportTo: [shop]
  http:
    - match: [{uri: {prefix: /depot/closed}}]
      directResponse: {status: 410}
    - route: [{destination: {host: depot.stock.svc.cluster.local}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: near, namespace: shop}
spec:
  http: [{directResponse: {status: 299}}]
"""
UNSEEN = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: depot, namespace: stock}
spec:
  exportTo: ["."]
  http: [{route: [{destination: {host: depot.stock.svc.cluster.local}}]}]
"""
EXPORTED = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog.shop.svc.cluster.local]
  exportTo: [front]
  http: [{directResponse: {status: 299}}]
"""


def answer(mesh: Mesh, path: str, caller: str = NEAR) -> tuple[int | None, str]:
    one = mesh.request(caller, f"http://catalog.shop{path}")
    return one.status, one.backend.workload.partition("-")[0] if one.backend else ""


def test_rules_of_another_namespace(mesh: Mesh) -> None:
    mesh.apply(ROOT, BELOW)
    assert answer(mesh, "/depot/closed/today") == (410, "")
    assert answer(mesh, "/depot") == (200, "depot")
    assert answer(mesh, "/near") == (299, "")
    assert answer(mesh, "/books") == (200, "catalog")


def test_without_the_other_its_paths_are_the_rest(mesh: Mesh) -> None:
    """The twin: a delegate that is not there, or that its root does not see, leaves no rule."""
    mesh.apply(ROOT)
    assert answer(mesh, "/depot") == answer(mesh, "/near") == (200, "catalog")
    mesh.apply(BELOW)
    assert answer(mesh, "/depot") == (200, "depot")
    mesh.apply(UNSEEN)
    assert answer(mesh, "/depot") == (200, "catalog")


def test_it_holds_for_callers_that_it_is_exported_to(mesh: Mesh) -> None:
    assert answer(mesh, "/", NEAR) == answer(mesh, "/", FAR) == (200, "catalog")
    mesh.apply(EXPORTED)
    assert answer(mesh, "/", NEAR) == (200, "catalog")
    assert answer(mesh, "/", FAR) == (299, "")
