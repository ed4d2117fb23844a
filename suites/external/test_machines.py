"""What the template of a WorkloadGroup gives each of its machines: weight, place, network, labels and annotations."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Mesh

GROUPS = """
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: large}
spec:
  metadata: {labels: {app: mainframe, size: large}, annotations: {owner: operations}}
  template:
    {serviceAccount: mainframe, ports: {http: 8080}, weight: 90, locality: r1/z1, network: east, labels: {rack: a}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: small}
spec:
  metadata: {labels: {app: mainframe, size: small}, annotations: {owner: operations}}
  template:
    {serviceAccount: mainframe, ports: {http: 8080}, weight: 10, locality: r2/z1, network: west, labels: {rack: b}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: mainframe}
---
apiVersion: v1
kind: Service
metadata: {name: mainframe}
spec: {selector: {app: mainframe}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: near}
spec:
  selector: {matchLabels: {app: near}}
  template:
    metadata: {labels: {app: near, istio-locality: r2.z1, topology.istio.io/network: west}}
    spec: {containers: [{name: near, image: near}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: far}
spec:
  selector: {matchLabels: {app: far}}
  template:
    metadata: {labels: {app: far}}
    spec: {containers: [{name: far, image: far}]}
"""
IN_TURN = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: mainframe}
spec: {host: mainframe, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}
"""
NEAR_FIRST = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: mainframe}
spec: {host: mainframe, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 100}}}
"""
OWN_NETWORK_FIRST = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: mainframe}
spec:
  host: mainframe
  trafficPolicy:
    outlierDetection: {consecutive5xxErrors: 100}
    loadBalancer: {localityLbSetting: {failoverPriority: [topology.istio.io/network]}}
"""
SUBSET = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: mainframe}
spec: {host: mainframe, subsets: [{name: chosen, labels: {LABEL}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: mainframe}
spec: {hosts: [mainframe], http: [{route: [{destination: {host: mainframe, subset: chosen}}]}]}
"""
MACHINES = {name: {"ports": ["8080/HTTP"], "workloadGroup": f"default/{name}"} for name in ("large", "small")}
pytestmark = pytest.mark.mesh(GROUPS, external=MACHINES)


def answered(mesh: Mesh, caller: str, requests: int = 40) -> Counter[str]:
    found = mesh.send(caller, "http://mainframe/", requests=requests, concurrency=1).exchanges
    return Counter(one.backend.workload if one.backend else f"{one.status}" for one in found)


def test_machines_have_the_weight_of_their_group(mesh: Mesh) -> None:
    mesh.apply(IN_TURN)
    found = answered(mesh, "far", 100)
    assert set(found) == {"large", "small"}
    assert found["large"] in (89, 90, 91)


@pytest.mark.parametrize("policy", [NEAR_FIRST, OWN_NETWORK_FIRST], ids=["place", "network"])
def test_machines_are_where_their_group_is(mesh: Mesh, policy: str) -> None:
    mesh.apply(policy)
    assert answered(mesh, "near") == {"small": 40}
    assert set(answered(mesh, "far", 100)) == {"large", "small"}


def test_machines_have_the_labels_of_their_group(mesh: Mesh) -> None:
    for label, chosen in (("size: small", "small"), ("size: large", "large")):
        mesh.apply(SUBSET.replace("LABEL", label))
        assert answered(mesh, "far", 20) == {chosen: 20}
