"""Regions that requests go to by what MeshConfig says for every host."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from meshtest.checks.statistics import window

if TYPE_CHECKING:
    from meshtest import Mesh

pytestmark = pytest.mark.mesh("../traffic-policy/localities.yaml")

ALL = {"same-zone", "same-region", "second-region", "third-region"}
NOTICED = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: plain}
spec: {host: plain, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 100}}}
"""
SHARED_OUT = 'localityLbSetting: {distribute: [{from: r1/*, to: {"r1/z2/*": 70, "r2/*": 30}}]}'
TO_THIRD = "localityLbSetting: {enabled: true, failover: [{from: r4, to: r3}]}"
BY_VERSION = "localityLbSetting: {failoverPriority: [version]}"
OFF = "localityLbSetting: {enabled: false}"
ZONES_TO_THIRD = "zoneAwareLbSetting: {enabled: true, failover: [{from: r4, to: r3}]}"
ZONES_BY_VERSION = "zoneAwareLbSetting: {failoverPriority: [version]}"


def answered(mesh: Mesh, caller: str, requests: int = 60) -> Counter[str]:
    found = mesh.send(caller, "http://plain/", requests=requests).exchanges
    return Counter(one.backend.workload if one.backend else "nobody" for one in found)


def test_by_default_the_own_zone_comes_first(mesh: Mesh) -> None:
    mesh.replace(NOTICED)
    assert answered(mesh, "near") == {"same-zone": 60}
    assert set(answered(mesh, "away")) == ALL
    mesh.replace(NOTICED, mesh_config=OFF)
    assert set(answered(mesh, "near")) == ALL


def test_shares(mesh: Mesh) -> None:
    mesh.replace(mesh_config=SHARED_OUT)
    found = answered(mesh, "near", 300)
    assert set(found) == {"same-region", "second-region"}
    assert found["second-region"] in window(300, 0.3)


def test_a_region_without_pods_fails_over(mesh: Mesh) -> None:
    mesh.replace(NOTICED, mesh_config=TO_THIRD)
    assert answered(mesh, "away") == {"third-region": 60}
    mesh.replace(NOTICED, mesh_config=ZONES_TO_THIRD)
    assert answered(mesh, "away") == {"third-region": 60}


def test_pods_like_the_caller_come_first(mesh: Mesh) -> None:
    mesh.replace(NOTICED, mesh_config=BY_VERSION)
    assert set(answered(mesh, "near")) == {"second-region", "third-region"}
    mesh.replace(NOTICED, mesh_config=ZONES_BY_VERSION)
    assert set(answered(mesh, "near")) == {"second-region", "third-region"}
