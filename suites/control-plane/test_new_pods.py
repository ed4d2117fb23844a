"""Workloads that change into something else while the mesh runs: whoever calls them knows at the next request."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Mesh

pytestmark = pytest.mark.mesh("../../fixtures/bookinfo")

URL = "http://ratings:9080/ratings/0"
AS_ANOTHER = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: another}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: ratings-v1, labels: {app: ratings, version: v1}}
spec:
  selector: {matchLabels: {app: ratings, version: v1}}
  template:
    metadata: {labels: {app: ratings, version: v1}}
    spec:
      serviceAccountName: another
      containers: [{name: ratings, image: "registry.example/ratings:1", ports: [{containerPort: 9080}]}]
"""


def test_a_callee_with_another_service_account_is_trusted_as_such(mesh: Mesh) -> None:
    before = next(pod for pod in mesh.pods if pod.workload == "ratings-v1")
    mesh.apply(AS_ANOTHER)
    after = next(pod for pod in mesh.pods if pod.workload == "ratings-v1")
    one = mesh.request("reviews-v2", URL)
    assert one.status == 200, one.decided_by
    assert (one.hops[0].upstream_peer, after.ip == before.ip) == (
        "spiffe://cluster.local/ns/default/sa/another",
        False,
    )


def test_a_caller_with_another_service_account_is_known_by_it(mesh: Mesh) -> None:
    mesh.apply(AS_ANOTHER)
    one = mesh.request("ratings-v1", "http://reviews:9080/reviews/0")
    assert (one.status, one.peer_identity) == (200, "spiffe://cluster.local/ns/default/sa/another")


MORE_PORTS = """
apiVersion: v1
kind: Service
metadata: {name: metrics}
spec: {selector: {app: ratings}, ports: [{name: http, port: 80, targetPort: 15999}]}
"""
INGRESS = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: ratings}
spec:
  workloadSelector: {labels: {app: ratings}}
  ingress: [{port: {number: 9080, protocol: HTTP, name: http}, defaultEndpoint: "127.0.0.1:15998"}]
"""


@pytest.mark.parametrize(
    ("manifest", "url", "port"),
    [(MORE_PORTS, "http://metrics/", 15999), (INGRESS, URL, 15998)],
    ids=["service", "sidecar"],
)
def test_stand_ins_answer_also_where_later_manifests_have_them_called(
    mesh: Mesh, manifest: str, url: str, port: int
) -> None:
    mesh.apply(manifest)
    one = mesh.request("reviews-v2", url)
    assert one.status == 200
    assert json.loads(one.body)["port"] == port
    assert one.peer_identity == "spiffe://cluster.local/ns/default/sa/bookinfo-reviews"
    mesh.delete(manifest)
    assert mesh.request("reviews-v2", URL).status == 200
