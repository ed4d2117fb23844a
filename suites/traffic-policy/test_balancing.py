"""How pods share requests: in turn, at random, by how busy or how new they are, or not at all.

Port 80 of a Service is ruled by what stands for every port, port 8080 by what stands for it alone; so it is in a subset
too, to which requests with `x-subset` go.
"""

from __future__ import annotations

import time
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from meshtest import faults
from meshtest.checks.statistics import window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshtest import Exchange, Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop")

CLIENT = "shop/orders"
ROUTES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog]
  http:
    - match: [{headers: {x-subset: {}}}]
      route: [{destination: {host: catalog, subset: all}}]
    - route: [{destination: {host: catalog}}]
"""
MIXED = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: catalog, namespace: shop}
spec:
  host: catalog
  trafficPolicy:
    loadBalancer: {simple: ROUND_ROBIN}
    portLevelSettings: [{port: {number: 8080}, loadBalancer: {simple: RANDOM}}]
  subsets:
    - name: all
      labels: {app: catalog}
      trafficPolicy:
        loadBalancer: {simple: RANDOM}
        portLevelSettings: [{port: {number: 8080}, loadBalancer: {simple: ROUND_ROBIN}}]
"""
LEAST_BUSY = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: catalog, namespace: shop}
spec: {host: catalog, trafficPolicy: {loadBalancer: {simple: LEAST_REQUEST}}}
"""
IN_TURN = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: catalog, namespace: shop}
spec: {host: catalog, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}
"""
AS_ADDRESSED = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: catalog, namespace: shop}
spec: {host: catalog, trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}}
"""
SLOW_START = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: catalog, namespace: shop}
spec:
  host: catalog
  trafficPolicy:
    loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 7s, minimumPercent: 2, aggression: 0.1}}
    portLevelSettings:
      - port: {number: 8080}
        loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 7s, minimumPercent: 50, aggression: 0.1}}
  subsets:
    - name: all
      labels: {app: catalog}
      trafficPolicy:
        loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 7s, minimumPercent: 2, aggression: 0.1}}
        portLevelSettings:
          - port: {number: 8080}
            loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 7s, minimumPercent: 2, aggression: 10}}
"""
SLOW_START_BY_ITS_OLD_NAME = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: books, namespace: shop}
spec:
  host: books
  trafficPolicy:
    loadBalancer: {simple: ROUND_ROBIN, warmupDurationSecs: 7s}
    portLevelSettings: [{port: {number: 8080}, loadBalancer: {simple: LEAST_REQUEST, warmupDurationSecs: 7s}}]
  subsets:
    - name: all
      labels: {app: catalog}
      trafficPolicy:
        loadBalancer: {simple: ROUND_ROBIN, warmupDurationSecs: 7s}
        portLevelSettings: [{port: {number: 8080}, loadBalancer: {simple: ROUND_ROBIN, warmupDurationSecs: 7s}}]
---
apiVersion: v1
kind: Service
metadata: {name: books, namespace: shop}
spec:
  selector: {app: catalog}
  ports: [{name: http, port: 80, targetPort: 8080}, {name: http-admin, port: 8080}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: books, namespace: shop}
spec:
  hosts: [books]
  http:
    - match: [{headers: {x-subset: {}}}]
      route: [{destination: {host: books, subset: all}}]
    - route: [{destination: {host: books}}]
"""
NEW_POD = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: catalog-v3, namespace: shop}
spec:
  selector: {matchLabels: {app: catalog, version: v3}}
  template:
    metadata: {labels: {app: catalog, version: v3}}
    spec: {containers: [{name: catalog, image: example.test/shop/catalog:v3}]}
"""
PLACES = ((80, ""), (8080, ""), (80, "all"), (8080, "all"))
"""Ports, and whether it is the subset."""


def sent(
    mesh: Mesh, port: int, subset: str, requests: int = 40, host: str = "catalog"
) -> tuple[Exchange, ...]:
    headers = {"x-subset": subset} if subset else {}
    return mesh.send(
        CLIENT, f"http://{host}:{port}/", requests=requests, concurrency=1, headers=headers
    ).exchanges


def who(found: Sequence[Exchange]) -> list[str]:
    return [one.backend.workload if one.backend else "nobody" for one in found]


def test_in_turn_or_at_random(mesh: Mesh) -> None:
    mesh.apply(MIXED, ROUTES)
    for port, subset in PLACES:
        answers = who(sent(mesh, port, subset))
        changes = sum(one != other for one, other in pairwise(answers))
        if (port == 80) is (subset == ""):
            assert changes == 39
        else:
            assert changes in window(39, 0.5)


@pytest.mark.parametrize("policy", [LEAST_BUSY, IN_TURN], ids=["least-request", "round-robin"])
def test_a_slow_pod_gets_less_where_who_is_busy_counts(mesh: Mesh, policy: str) -> None:
    mesh.apply(policy)
    with mesh.inject(faults.delay(to="catalog-v1", fixed_delay=0.2)):
        found = mesh.send(CLIENT, "http://catalog/", requests=400, concurrency=20).exchanges
    slow = Counter(who(found))["catalog-v1"]
    if policy == IN_TURN:
        assert slow == 200
    else:
        assert 0 < slow < window(400, 0.5).low


def test_passed_through_it_goes_where_it_is_addressed(mesh: Mesh) -> None:
    address = mesh.model.pods_of("shop/catalog-v2")[0].ip
    before = mesh.send(CLIENT, "http://catalog:8080/", requests=30, address=address).exchanges
    assert set(who(before)) == {"catalog-v1", "catalog-v2"}
    mesh.apply(AS_ADDRESSED)
    after = mesh.send(CLIENT, "http://catalog:8080/", requests=30, address=address).exchanges
    assert Counter(who(after)) == {"catalog-v2": 30}


WARM = 7.0
"""Seconds until a new pod has its full share."""
LEAST = {
    ("catalog", 80, ""): (0.02, 0.1),
    ("catalog", 8080, ""): (0.5, 0.1),
    ("catalog", 80, "all"): (0.02, 0.1),
    ("catalog", 8080, "all"): (0.02, 10.0),
    **{("books", *place): (0.1, 1.0) for place in PLACES},
}
"""The least share of a new pod's weight, and how steep the way is to all of it."""


def at_most(age: float, least: float, aggression: float) -> int:
    """How many of 20 requests go to the newest of three pods (Envoy's `slow_start_config`); its age in seconds."""
    weight = max(least, min(age / WARM, 1) ** (1 / aggression))
    return int(20 * weight / (2 + weight)) + 1


def test_a_new_pod_gets_little_at_first(mesh: Mesh) -> None:
    """How little is told by the least percentage, and by how steep the way from there to all is."""
    mesh.apply(SLOW_START, SLOW_START_BY_ITS_OLD_NAME, ROUTES)
    warm = mesh.send(CLIENT, "http://catalog/", rate=4.0, duration=WARM + 0.5).exchanges
    assert set(who(warm)) == {"catalog-v1", "catalog-v2"}
    began = time.monotonic()
    mesh.apply(NEW_POD)
    new = {}
    for (host, port, subset), steepness in LEAST.items():
        new[host, port, subset] = who(sent(mesh, port, subset, 20, host)).count("catalog-v3")
        age = time.monotonic() - began
        assert new[host, port, subset] <= at_most(age, *steepness), (host, port, subset, age)
    assert age < WARM, "too slow to see any of it"
    assert new["catalog", 8080, ""] >= 3  # 0.5 of 2.5
    assert new["catalog", 8080, "all"] >= 3  # soon 0.7 of 2.7


def test_without_warmup_a_new_pod_gets_its_share_at_once(mesh: Mesh) -> None:
    """The twin."""
    mesh.apply(IN_TURN)
    mesh.send(CLIENT, "http://catalog/", requests=10)
    mesh.apply(NEW_POD)
    found = Counter(who(sent(mesh, 80, "", 21)))
    assert found == dict.fromkeys(("catalog-v1", "catalog-v2", "catalog-v3"), 7)
