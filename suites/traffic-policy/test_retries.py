"""Whom a retry asks: the pod that has just failed, or another one."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from meshtest import faults
from meshtest.checks.statistics import window

if TYPE_CHECKING:
    from meshtest import Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop")

CLIENT, URL = "shop/orders", "http://catalog/books"
AT_RANDOM = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: catalog, namespace: shop}
spec: {host: catalog, trafficPolicy: {loadBalancer: {simple: RANDOM}}}
"""
ANYBODY = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog]
  http:
    - retries: {attempts: 1, retryOn: 5xx, backoff: 1ms, retryIgnorePreviousHosts: false}
      route: [{destination: {host: catalog}}]
"""
OTHERS = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog]
  http:
    - retries: {attempts: 1, retryOn: 5xx, backoff: 1ms, retryIgnorePreviousHosts: true}
      route: [{destination: {host: catalog}}]
"""


def sent(mesh: Mesh, policy: str) -> tuple[Counter[int | None], int]:
    """How requests ended while one of two versions failed, and how many were retried."""
    mesh.apply(AT_RANDOM, policy)
    with mesh.inject(faults.abort(to="catalog-v1", http_status=503)):
        found = mesh.send(CLIENT, URL, requests=300).exchanges
    return Counter(one.status for one in found), sum(one.attempts == 2 for one in found)


def test_the_one_that_failed_is_asked_again_where_that_is_allowed(mesh: Mesh) -> None:
    status, retried = sent(mesh, ANYBODY)
    assert retried in window(300, 0.5)
    assert set(status) == {200, 503}
    assert status[503] in window(300, 0.25)


def test_otherwise_another_one_is_asked(mesh: Mesh) -> None:
    status, retried = sent(mesh, OTHERS)
    assert retried in window(300, 0.5)
    assert status[503] < window(300, 0.25).low
