"""A change sends to each sidecar what it touches and nothing else, as the sidecars themselves count it."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest import Mesh

pytestmark = pytest.mark.mesh("../../fixtures/bookinfo")

UPDATES = re.compile(r"^(\S+)\.update_success: (\d+)$", re.MULTILINE)
RATINGS = "cluster.outbound|9080||ratings.default.svc.cluster.local;"
DENIAL = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: ratings}}
spec:
  selector: {{matchLabels: {{app: ratings}}}}
  action: DENY
  rules: [{{to: [{{operation: {{paths: ["/{}"]}}}}]}}]
"""
ROUTE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: ratings}}
spec: {{hosts: [ratings], http: [{{timeout: "{}s", route: [{{destination: {{host: ratings}}}}]}}]}}
"""
DESTINATION = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: ratings}}
spec: {{host: ratings, trafficPolicy: {{connectionPool: {{tcp: {{maxConnections: {}}}}}}}}}
"""
OUTBOUND = "http.outbound_0.0.0.0_9080;.rds.9080"


def counts(mesh: Mesh) -> Counter[tuple[str, str]]:
    """Pod and what it took -> how often."""
    found: Counter[tuple[str, str]] = Counter()
    for pod in mesh.pods:
        for name, number in UPDATES.findall(mesh.admin(pod.key, "/stats?filter=update_success$")):
            found[pod.name, name] = int(number)
    return found


def sent(mesh: Mesh, action: Callable[[], object]) -> dict[str, dict[str, int]]:
    """Pod -> what it was sent meanwhile, each with its number; pods that were sent nothing are not there.

    Endpoints count as one: a cluster that warms beside its predecessor takes them for both.
    """
    before = counts(mesh)
    action()
    found: dict[str, dict[str, int]] = {}
    for (pod, name), number in (counts(mesh) - before).items():
        found.setdefault(pod, {})[name] = 1 if name.startswith("cluster.") else number
    return found


@pytest.mark.parametrize("policy", [DENIAL, ROUTE, DESTINATION], ids=["denial", "route", "destination"])
def test_a_policy_sends_each_sidecar_only_what_it_touches(mesh: Mesh, policy: str) -> None:
    mesh.apply(policy.format(1))
    everybody = {pod.name for pod in mesh.pods}
    ratings = {pod.name for pod in mesh.pods if pod.labels["app"] == "ratings"}
    assert ratings < everybody
    expected = {
        DENIAL: {pod: {"listener_manager.lds": 1} for pod in ratings},
        ROUTE: {pod: {OUTBOUND: 1} for pod in everybody},
        DESTINATION: {pod: {"cluster_manager.cds": 1, RATINGS: 1} for pod in everybody},
    }[policy]
    assert sent(mesh, lambda: mesh.apply(policy.format(2))) == expected
    assert sent(mesh, lambda: mesh.apply(policy.format(2))) == {}
