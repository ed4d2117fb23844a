"""Routing within zones, by proxies that know of their own workload (Istio's TestZoneAwareLoadBalancer)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Mesh

pytestmark = pytest.mark.mesh("zones.yaml")

BOTH = {"first-zone", "second-zone"}
AWARE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  trafficPolicy: {loadBalancer: {zoneAwareLbSetting: {enabled: true, minClusterSize: 1}}}
"""
AT_A_PORT = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  trafficPolicy:
    portLevelSettings:
      - {port: {number: 80}, loadBalancer: {zoneAwareLbSetting: {enabled: true, minClusterSize: 1}}}
"""
IN_A_SUBSET = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  subsets:
    - name: all
      labels: {app: web}
      trafficPolicy: {loadBalancer: {zoneAwareLbSetting: {enabled: true, minClusterSize: 1}}}
"""
AT_A_PORT_OF_A_SUBSET = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  subsets:
    - name: all
      labels: {app: web}
      trafficPolicy:
        portLevelSettings:
          - {port: {number: 80}, loadBalancer: {zoneAwareLbSetting: {enabled: true, minClusterSize: 1}}}
"""
TO_THE_SUBSET = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec: {hosts: [web], http: [{route: [{destination: {host: web, subset: all}}]}]}
"""
EVERYWHERE = "zoneAwareLbSetting: {enabled: true, minClusterSize: 1}"
ALONE = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: caller}
spec:
  serviceName: callers
  replicas: 1
  selector: {matchLabels: {app: caller}}
  template:
    metadata:
      labels: {app: caller}
      annotations: {proxy.istio.io/config: '{proxyMetadata: {ISTIO_META_ENABLE_SELF_DISCOVERY: "true"}}'}
    spec: {containers: [{name: caller, image: caller, ports: [{containerPort: 8080}]}]}
"""


def answered(mesh: Mesh, caller: str) -> Counter[str]:
    found = mesh.send(caller, "http://web/", requests=60).exchanges
    return Counter(one.backend.workload if one.backend else "nobody" for one in found)


def test_without_a_rule_zones_are_alike(mesh: Mesh) -> None:
    """The twin: knowing of oneself is not enough."""
    assert {pod.name: pod.locality for pod in mesh.pods if pod.workload == "caller"} == {
        "caller-0": "r1/z1",
        "caller-1": "r1/z2",
    }
    assert set(answered(mesh, "caller-0")) == set(answered(mesh, "caller-1")) == BOTH


def test_requests_stay_in_their_zone_where_the_proxy_knows_its_own_kind(mesh: Mesh) -> None:
    mesh.apply(AWARE)
    assert answered(mesh, "caller-0") == {"first-zone": 60}
    assert answered(mesh, "caller-1") == {"second-zone": 60}
    assert set(answered(mesh, "unaware")) == BOTH


@pytest.mark.parametrize(
    "policies",
    [(AWARE,), (AT_A_PORT,), (IN_A_SUBSET, TO_THE_SUBSET), (AT_A_PORT_OF_A_SUBSET, TO_THE_SUBSET)],
    ids=["every-port", "one-port", "subset", "port-of-subset"],
)
def test_a_small_cluster_is_not_worth_it(mesh: Mesh, policies: tuple[str, ...]) -> None:
    """There are two pods; Envoy by itself would want six."""
    for size, pods in ((2, {"first-zone"}), (3, BOTH)):
        mesh.replace(*(each.replace("minClusterSize: 1", f"minClusterSize: {size}") for each in policies))
        assert set(answered(mesh, "caller-0")) == pods


def test_the_size_may_be_said_for_all_of_the_mesh(mesh: Mesh) -> None:
    for size, pods in ((2, {"first-zone"}), (3, BOTH)):
        mesh.replace(mesh_config=EVERYWHERE.replace("minClusterSize: 1", f"minClusterSize: {size}"))
        assert set(answered(mesh, "caller-0")) == pods


def test_callers_that_go_are_heard_of(mesh: Mesh) -> None:
    """Alone, a caller has all requests and its zone half of the pods: the other zone takes what is too much."""
    mesh.apply(AWARE)
    assert answered(mesh, "caller-0") == {"first-zone": 60}
    mesh.apply(ALONE)
    assert set(answered(mesh, "caller-0")) == BOTH
