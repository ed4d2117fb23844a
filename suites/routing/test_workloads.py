"""Pods of every kind of workload: how they are selected, named and placed, and who calls them because of it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Mesh

WORKLOADS = """
apiVersion: v1
kind: Node
metadata: {name: north, labels: {topology.kubernetes.io/region: north, topology.kubernetes.io/zone: n1, disk: fast}}
---
apiVersion: v1
kind: Node
metadata: {name: south, labels: {topology.kubernetes.io/region: south, topology.kubernetes.io/zone: s1, disk: slow}}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: fast}
spec:
  replicas: 2
  selector:
    matchLabels: {app: web}
    matchExpressions: [{key: disk, operator: In, values: [fast, faster]}]
  template:
    metadata: {labels: {app: web, disk: fast}}
    spec: {nodeSelector: {disk: fast}, containers: [{name: web, image: web, ports: [{containerPort: 8080}]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: slow}
spec:
  selector:
    matchLabels: {app: web}
    matchExpressions: [{key: disk, operator: NotIn, values: [fast]}]
  template:
    metadata: {labels: {app: web, disk: slow}}
    spec: {nodeSelector: {disk: slow}, containers: [{name: web, image: web, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector:
    matchLabels: {app: agent}
    matchExpressions: [{key: app, operator: Exists}]
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: agent, image: agent, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: agent}
spec: {selector: {app: agent}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: first, labels: {app: named}}
spec:
  hostname: one
  subdomain: named
  nodeName: north
  containers: [{name: named, image: named, ports: [{containerPort: 8080}]}]
---
apiVersion: v1
kind: Pod
metadata: {name: second, labels: {app: named}}
spec:
  hostname: two
  subdomain: named
  nodeName: south
  containers: [{name: named, image: named, ports: [{containerPort: 8080}]}]
---
apiVersion: v1
kind: Service
metadata: {name: named}
spec: {clusterIP: None, selector: {app: named}, ports: [{name: http, port: 8080}]}
"""
NEAR_FIRST = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec: {host: web, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 100}}}
"""
pytestmark = pytest.mark.mesh(WORKLOADS)


def answered(mesh: Mesh, caller: str, url: str, requests: int = 60) -> Counter[str]:
    found = mesh.send(caller, url, requests=requests).exchanges
    return Counter(one.backend.pod if one.backend else f"{one.status}" for one in found)


def test_a_service_has_the_pods_of_all_kinds(mesh: Mesh) -> None:
    pods = answered(mesh, "first", "http://web/")
    assert {pod.partition("-")[0] for pod in pods} == {"fast", "slow"}
    assert len(pods) == 3


def test_pods_are_where_their_node_is(mesh: Mesh) -> None:
    mesh.apply(NEAR_FIRST)
    assert {pod.partition("-")[0] for pod in answered(mesh, "first", "http://web/")} == {"fast"}
    assert {pod.partition("-")[0] for pod in answered(mesh, "second", "http://web/")} == {"slow"}


def test_a_daemon_runs_on_every_node(mesh: Mesh) -> None:
    assert len(answered(mesh, "first", "http://agent/")) == len(mesh.model.pods_of("default/agent"))
    assert len(mesh.model.pods_of("default/agent")) == 2


@pytest.mark.parametrize(("name", "pod"), [("one", "first"), ("two", "second")])
def test_a_pod_is_found_by_its_hostname(mesh: Mesh, name: str, pod: str) -> None:
    one = mesh.request("slow", f"http://{name}.named.default.svc.cluster.local:8080/")
    assert one.backend is not None
    assert one.backend.pod.endswith(pod)
    assert mesh.request("slow", f"http://{pod}.named:8080/").outcome == "unresolved"
