"""Which regions requests go to: shares, failover and its order, or no region in particular; at each place to say so."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from meshtest.checks.statistics import window

if TYPE_CHECKING:
    from meshtest import Mesh

pytestmark = pytest.mark.mesh("localities.yaml")

ALL = {"same-zone", "same-region", "second-region", "third-region"}
PLACES = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: every-port}
spec:
  host: every-port
  trafficPolicy: {loadBalancer: BALANCING, outlierDetection: {consecutive5xxErrors: 100}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: one-port}
spec:
  host: one-port
  trafficPolicy:
    portLevelSettings:
      - {port: {number: 80}, loadBalancer: BALANCING, outlierDetection: {consecutive5xxErrors: 100}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: subset}
spec:
  host: subset
  subsets:
    - name: all
      labels: {app: web}
      trafficPolicy: {loadBalancer: BALANCING, outlierDetection: {consecutive5xxErrors: 100}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: port-of-subset}
spec:
  host: port-of-subset
  subsets:
    - name: all
      labels: {app: web}
      trafficPolicy:
        portLevelSettings:
          - {port: {number: 80}, loadBalancer: BALANCING, outlierDetection: {consecutive5xxErrors: 100}}
"""
SHARED_OUT = PLACES.replace(
    "BALANCING", '{localityLbSetting: {distribute: [{from: r1/*, to: {"r1/z2/*": 70, "r2/*": 30}}]}}'
)
USUAL = PLACES.replace("BALANCING", "{localityLbSetting: {enabled: true}}")
TO_THIRD = PLACES.replace("BALANCING", "{localityLbSetting: {failover: [{from: r4, to: r3}]}}")
BY_VERSION = PLACES.replace("BALANCING", "{localityLbSetting: {failoverPriority: [version]}}")
OFF = PLACES.replace("BALANCING", "{localityLbSetting: {enabled: false}}")
ZONES_TO_THIRD = PLACES.replace("BALANCING", "{zoneAwareLbSetting: {failover: [{from: r4, to: r3}]}}")
ZONES_BY_VERSION = PLACES.replace(
    "BALANCING", "{zoneAwareLbSetting: {enabled: true, failoverPriority: [version]}}"
)
ZONES_OFF = PLACES.replace("BALANCING", "{zoneAwareLbSetting: {enabled: false, failoverPriority: [version]}}")

places = pytest.mark.parametrize("place", ["every-port", "one-port", "subset", "port-of-subset"])


def answered(mesh: Mesh, caller: str, place: str, requests: int = 60) -> Counter[str]:
    found = mesh.send(caller, f"http://{place}/", requests=requests).exchanges
    return Counter(one.backend.workload if one.backend else "nobody" for one in found)


def test_without_rule_they_go_everywhere(mesh: Mesh) -> None:
    """The twin: nothing tells sick pods from well ones, so no region is preferred."""
    assert set(answered(mesh, "near", "plain")) == set(answered(mesh, "away", "plain")) == ALL


@places
def test_shares_of_regions_and_zones(mesh: Mesh, place: str) -> None:
    mesh.apply(SHARED_OUT)
    found = answered(mesh, "near", place, 300)
    assert set(found) == {"same-region", "second-region"}
    assert found["second-region"] in window(300, 0.3)
    assert set(answered(mesh, "away", place)) == ALL


@places
def test_the_own_zone_comes_first_unless_that_is_off(mesh: Mesh, place: str) -> None:
    mesh.apply(USUAL)
    assert answered(mesh, "near", place) == {"same-zone": 60}
    mesh.apply(OFF)
    assert set(answered(mesh, "near", place)) == ALL


@places
@pytest.mark.parametrize("policy", [TO_THIRD, ZONES_TO_THIRD], ids=["locality", "zone-aware"])
def test_a_region_without_pods_fails_over(mesh: Mesh, place: str, policy: str) -> None:
    mesh.apply(USUAL)
    assert set(answered(mesh, "away", place)) == ALL
    mesh.apply(policy)
    assert answered(mesh, "away", place) == {"third-region": 60}


@places
@pytest.mark.parametrize("policy", [BY_VERSION, ZONES_BY_VERSION], ids=["locality", "zone-aware"])
def test_pods_like_the_caller_come_first(mesh: Mesh, place: str, policy: str) -> None:
    mesh.apply(policy)
    assert set(answered(mesh, "near", place)) == {"second-region", "third-region"}
    mesh.apply(ZONES_OFF)
    assert set(answered(mesh, "near", place)) == ALL
