"""mTLS with pods that are called by their own addresses: with all of a Service's, or with none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop")

CLIENT = "shop/orders"
DB = """
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: http, port: 8080}, {name: tcp, port: 9000}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: db, ports: [{containerPort: 8080}]}]}
"""
WITHOUT_SIDECAR = """
apiVersion: v1
kind: Pod
metadata: {name: old, namespace: shop, labels: {app: db, sidecar.istio.io/inject: "false"}}
spec: {containers: [{name: db, image: db, ports: [{containerPort: 8080}]}]}
"""


def identities(mesh: Mesh) -> list[str]:
    found = [mesh.request(CLIENT, f"http://db-{number}.db:8080/") for number in (0, 1)]
    assert [one.status for one in found] == [200, 200]
    return [one.peer_identity for one in found]


def test_all_or_none(mesh: Mesh) -> None:
    """One pod without sidecar has the others called in plain text too.

    Of a Service with a port of TCP istiod notices at once; of one with HTTP alone it would when the Service changes.
    """
    mesh.apply(DB)
    assert identities(mesh) == ["spiffe://cluster.local/ns/shop/sa/default"] * 2
    mesh.apply(WITHOUT_SIDECAR)
    assert identities(mesh) == ["", ""]
    mesh.delete(WITHOUT_SIDECAR)
    assert identities(mesh) == ["spiffe://cluster.local/ns/shop/sa/default"] * 2
