"""After how many failures of which kind a pod gets no requests, and from when on again.

Each setting is tried at each place that has it: for every port, for one port, for a subset, for one port of a subset.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from meshtest import faults
from meshtest.waiting import wait_until
from suites.endpoints import ejected, wait_until_ejected

if TYPE_CHECKING:
    from meshtest import Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop", "places.yaml")

CLIENT, CALLEE = "shop/orders", "shop/catalog-v1"
PLACES = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: every-port, namespace: shop}
spec:
  host: every-port
  trafficPolicy: {connectionPool: {tcp: {connectTimeout: 300ms}}, outlierDetection: OUTLIERS}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: one-port, namespace: shop}
spec:
  host: one-port
  trafficPolicy:
    portLevelSettings:
      - {port: {number: 80}, connectionPool: {tcp: {connectTimeout: 300ms}}, outlierDetection: OUTLIERS}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: subset, namespace: shop}
spec:
  host: subset
  subsets:
    - name: all
      labels: {app: catalog}
      trafficPolicy: {connectionPool: {tcp: {connectTimeout: 300ms}}, outlierDetection: OUTLIERS}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: port-of-subset, namespace: shop}
spec:
  host: port-of-subset
  subsets:
    - name: all
      labels: {app: catalog}
      trafficPolicy:
        portLevelSettings:
          - {port: {number: 80}, connectionPool: {tcp: {connectTimeout: 300ms}}, outlierDetection: OUTLIERS}
"""
ANY_ERROR = PLACES.replace("OUTLIERS", "{consecutive5xxErrors: 3, maxEjectionPercent: 100}")
SOME_ERRORS = PLACES.replace(
    "OUTLIERS", "{consecutive5xxErrors: 0, consecutiveGatewayErrors: 2, maxEjectionPercent: 100}"
)
NO_ERROR = PLACES.replace(
    "OUTLIERS", "{consecutive5xxErrors: 0, consecutiveGatewayErrors: 0, maxEjectionPercent: 100}"
)
NEVER_ALL = PLACES.replace(
    "OUTLIERS", "{consecutive5xxErrors: 3, maxEjectionPercent: 100, minHealthPercent: 50}"
)
AT_MOST_HALF = PLACES.replace("OUTLIERS", "{consecutive5xxErrors: 3, maxEjectionPercent: 50}")
SOON_BACK = PLACES.replace(
    "OUTLIERS", "{consecutive5xxErrors: 3, maxEjectionPercent: 100, interval: 100ms, baseEjectionTime: 1s}"
)
OF_CONNECTING = PLACES.replace(
    "OUTLIERS",
    "{splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 2, maxEjectionPercent: 100}",
)
NOT_APART = PLACES.replace("OUTLIERS", "{maxEjectionPercent: 100}")

places = pytest.mark.parametrize("place", ["every-port", "one-port", "subset", "port-of-subset"])


def arrived(mesh: Mesh, place: str, status: int, requests: int = 6) -> int:
    """How many of so many requests, one after the other, reached the application, which fails them all."""
    found = mesh.send(CLIENT, f"http://{place}/status/{status}", requests=requests, concurrency=1).exchanges
    assert all((one.status, one.hops[0].flags) == (503, "UH") for one in found if one.backend is None)
    return sum(one.backend is not None for one in found)


def taken_out_after(mesh: Mesh, place: str, status: int, errors: int) -> None:
    """So many errors in a row, and not one less, take the pod out."""
    assert arrived(mesh, place, status, errors - 1) == errors - 1
    assert not ejected(mesh, CLIENT, place)
    assert arrived(mesh, place, status, 1) == 1
    wait_until_ejected(mesh, CLIENT, place)


@places
def test_errors_in_a_row_take_a_pod_out(mesh: Mesh, place: str) -> None:
    assert arrived(mesh, "plain", 500) == 6
    mesh.apply(ANY_ERROR)
    taken_out_after(mesh, place, 500, 3)
    assert arrived(mesh, place, 500) == 0


@places
def test_only_errors_of_gateways_count(mesh: Mesh, place: str) -> None:
    mesh.apply(SOME_ERRORS)
    assert arrived(mesh, place, 500) == 6
    taken_out_after(mesh, place, 502, 2)
    assert arrived(mesh, place, 502) == 0
    mesh.apply(NO_ERROR)
    assert (arrived(mesh, place, 500), arrived(mesh, place, 502)) == (6, 6)


@places
def test_too_few_well_pods_are_as_many_as_all(mesh: Mesh, place: str) -> None:
    mesh.apply(NEVER_ALL)
    assert arrived(mesh, place, 500) == 6


@places
def test_no_more_than_a_share_is_taken_out(mesh: Mesh, place: str) -> None:
    mesh.apply(AT_MOST_HALF)
    assert arrived(mesh, place, 500) == 6


@places
def test_a_pod_comes_back(mesh: Mesh, place: str) -> None:
    mesh.apply(SOON_BACK)
    start = time.monotonic()
    taken_out_after(mesh, place, 500, 3)
    assert arrived(mesh, place, 200, 1) == 0
    wait_until(lambda: arrived(mesh, place, 200, 1), 8, lambda: "the pod is not back", step=0.05)
    assert 1 <= time.monotonic() - start < 8  # by default after 30 s, and looked at every 10 s


@places
def test_connections_that_fail_are_counted_apart(mesh: Mesh, place: str) -> None:
    def flags() -> list[str]:
        found = mesh.send(CLIENT, f"http://{place}/", requests=2, concurrency=1).exchanges
        return [one.hops[0].flags for one in found]

    with mesh.inject(faults.partition(to=CALLEE)):
        mesh.apply(OF_CONNECTING)
        assert flags() == ["UF", "UF"]
        wait_until_ejected(mesh, CLIENT, place)
        assert flags() == ["UH", "UH"]
    mesh.replace()
    with mesh.inject(faults.partition(to=CALLEE)):
        mesh.apply(NOT_APART)
        assert flags() + flags() == ["UF"] * 4
