"""When a caller gives up on a pod that does not answer any more, and how many of its retries run at once.

Each setting is tried at each place that has it: for every port, for one port, for a subset, for one port of a subset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest import faults
from meshtest.waiting import wait_until
from suites.sockets import established

if TYPE_CHECKING:
    from meshtest import Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop", "places.yaml")

CLIENT, CALLEE = "shop/orders", "shop/catalog-v1"
PLACES = ("every-port", "one-port", "subset", "port-of-subset")
POOLS = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: every-port, namespace: shop}
spec: {host: every-port, trafficPolicy: {connectionPool: POOL}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: one-port, namespace: shop}
spec: {host: one-port, trafficPolicy: {portLevelSettings: [{port: {number: 80}, connectionPool: POOL}]}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: subset, namespace: shop}
spec: {host: subset, subsets: [{name: all, labels: {app: catalog}, trafficPolicy: {connectionPool: POOL}}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: port-of-subset, namespace: shop}
spec:
  host: port-of-subset
  subsets:
    - name: all
      labels: {app: catalog}
      trafficPolicy: {portLevelSettings: [{port: {number: 80}, connectionPool: POOL}]}
"""
IMPATIENT = POOLS.replace("POOL", "{tcp: {connectTimeout: 300ms}}")
ASKED_BY_TCP = POOLS.replace("POOL", "{tcp: {tcpKeepalive: {time: 1s, interval: 1s, probes: 1}}}")
ASKED_BY_HTTP2 = POOLS.replace(
    "POOL", "{http: {h2UpgradePolicy: UPGRADE, http2KeepAlive: {interval: 1s, timeout: 500ms}}}"
)
ONE_RETRY = POOLS.replace("POOL", "{http: {maxRetries: 1}}")
BUDGETS = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: every-port, namespace: shop}
spec: {host: every-port, trafficPolicy: {retryBudget: BUDGET}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: subset, namespace: shop}
spec: {host: subset, subsets: [{name: all, labels: {app: catalog}, trafficPolicy: {retryBudget: BUDGET}}]}
"""
HALF = BUDGETS.replace("BUDGET", "{percent: 50, minRetryConcurrency: 1}")
FOUR = BUDGETS.replace("BUDGET", "{percent: 1, minRetryConcurrency: 4}")
HALF_OF_A_MINUTE = BUDGETS.replace("BUDGET", "{percent: 50, minRetryConcurrency: 1, budgetInterval: 60s}")
RETRIES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: NAME, namespace: shop}
spec:
  hosts: [NAME]
  http: [{route: [{destination: {host: NAME, subset: SUBSET}}], retries: {attempts: 1, retryOn: 5xx, backoff: 1ms}}]
"""


def connected(mesh: Mesh, place: str) -> int:
    """The port from which the caller's sidecar has its connection."""
    one = mesh.request(CLIENT, f"http://{place}/")
    assert one.status == 200
    return int(str(one.hops[0].raw["upstream_local"]).rpartition(":")[2])


def standing(mesh: Mesh, port: int) -> bool:
    return bool(established(mesh, CLIENT, port))


@pytest.mark.parametrize("place", PLACES)
def test_connecting_takes_no_longer(mesh: Mesh, place: str) -> None:
    with mesh.inject(faults.partition(to=CALLEE)):
        mesh.apply(IMPATIENT)  # whose clusters have no connection yet
        one = mesh.request(CLIENT, f"http://{place}/", timeout=9)
    assert (one.status, one.hops[0].flags) == (503, "UF")
    assert one.latency >= 0.3


def test_by_default_connecting_takes_long(mesh: Mesh) -> None:
    """The twin."""
    with mesh.inject(faults.partition(to=CALLEE)):
        assert mesh.request(CLIENT, "http://plain/", timeout=2).outcome == "timeout"


@pytest.mark.parametrize("policy", [ASKED_BY_TCP, ASKED_BY_HTTP2], ids=["tcp", "http2"])
def test_a_connection_to_nobody_is_noticed(mesh: Mesh, policy: str) -> None:
    """The one about which nothing is said stands, since nothing is sent over it."""
    mesh.apply(policy)
    ports = [connected(mesh, place) for place in PLACES]
    plain = connected(mesh, "plain")
    assert all(standing(mesh, port) for port in (*ports, plain))
    with mesh.inject(faults.partition(to=CALLEE)):
        wait_until(
            lambda: not any(standing(mesh, port) for port in ports), 20, lambda: "connections stand", step=0.1
        )
        assert standing(mesh, plain)


def retried(mesh: Mesh, place: str, requests: int = 6) -> int:
    """How many of so many requests, which all fail at the same time, were sent again."""
    url = f"http://{place}/status/503?delay=700ms"
    found = mesh.send(CLIENT, url, requests=requests, concurrency=requests).exchanges
    assert {one.status for one in found} == {503}
    return sum((one.attempts or 0) - 1 for one in found)


def retries(place: str) -> str:
    at_subset = RETRIES.replace("NAME", place)
    return (
        at_subset.replace("SUBSET", "all") if "subset" in place else at_subset.replace(", subset: SUBSET", "")
    )


@pytest.mark.parametrize("place", PLACES)
def test_one_retry_at_a_time(mesh: Mesh, place: str) -> None:
    mesh.apply(ONE_RETRY, retries(place))
    assert retried(mesh, place) == 1


def test_by_default_all_are_retried(mesh: Mesh) -> None:
    """The twin."""
    mesh.apply(retries("plain"))
    assert retried(mesh, "plain") == 6


@pytest.mark.parametrize("place", ["every-port", "subset"])
def test_retries_are_a_share_of_requests(mesh: Mesh, place: str) -> None:
    mesh.apply(HALF, retries(place))
    assert 1 <= retried(mesh, place) <= 3
    mesh.apply(FOUR)
    assert retried(mesh, place) == 4


@pytest.mark.parametrize("place", ["every-port", "subset"])
def test_a_budget_counts_requests_of_a_while(mesh: Mesh, place: str) -> None:
    for policy, expected in ((HALF, {1, 2, 3}), (HALF_OF_A_MINUTE, {6})):
        mesh.apply(policy, retries(place))
        mesh.send(CLIENT, f"http://{place}/", requests=20)
        assert retried(mesh, place) in expected
