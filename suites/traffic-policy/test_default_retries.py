"""What is tried again where no policy speaks of retries: by the caller's sidecar, and by the callee's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from meshtest import faults
from meshtest.waiting import wait_until

if TYPE_CHECKING:
    from meshtest import Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop")

CLIENT, CALLEE, HOST = "shop/orders", "shop/catalog-v1", "catalog-v1.shop.svc.cluster.local"
CALL = "grpc://{}:7070/library.Shelf/Find"
WITHOUT_RETRIES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog-v1, namespace: shop}
spec: {hosts: [catalog-v1], http: [{route: [{destination: {host: catalog-v1}}]}]}
"""
OFF = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog-v1, namespace: shop}
spec: {hosts: [catalog-v1], http: [{retries: {attempts: 0}, route: [{destination: {host: catalog-v1}}]}]}
"""
IN_TURN = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: catalog, namespace: shop}
spec: {host: catalog, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}
"""
BY_USER = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: catalog, namespace: shop}
spec: {host: catalog, trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}}}
"""
ROUTED = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec: {hosts: [catalog], http: [{route: [{destination: {host: catalog}}]}]}
"""
OK, CANCELLED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE = 0, 1, 8, 13, 14


def nobody_is_connected(mesh: Mesh, pod: str, cluster: str) -> None:
    """Wait until a sidecar has noticed the end of what it was connected to: the next request connects anew."""

    def connections() -> list[str]:
        lines = mesh.admin(pod, "/clusters").splitlines()
        return [
            line
            for line in lines
            if line.startswith(cluster) and "::cx_active::" in line and not line.endswith("::0")
        ]

    wait_until(lambda: not connections(), 15, lambda: f"still connected: {connections()}", step=0.01)


@pytest.mark.parametrize(
    ("policy", "attempts"), [("", 3), (WITHOUT_RETRIES, 3), (OFF, 1)], ids=["no-rule", "no-retries", "off"]
)
def test_a_connection_that_fails_is_tried_twice_more(mesh: Mesh, policy: str, attempts: int) -> None:
    if policy:
        mesh.apply(policy)
    with mesh.inject(faults.kill(to=CALLEE, part="sidecar")):
        nobody_is_connected(mesh, CLIENT, f"outbound|80||{HOST}::")
        one = mesh.request(CLIENT, "http://catalog-v1/")
    assert (one.status, one.attempts) == (503, attempts)
    assert one.hops[0].flags == ("URX,UF" if attempts == 3 else "UF")


@pytest.mark.parametrize(
    ("status", "attempts"), [(UNAVAILABLE, 3), (CANCELLED, 3), (INTERNAL, 1), (RESOURCE_EXHAUSTED, 1)]
)
def test_two_statuses_of_grpc_are_tried_again(mesh: Mesh, status: int, attempts: int) -> None:
    with mesh.inject(faults.abort(to=CALLEE, grpc_status=status)):
        one = mesh.request(CLIENT, CALL.format("catalog-v1"))
    assert (one.grpc_status, one.attempts) == (status, attempts)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_no_status_of_http_is_tried_again(mesh: Mesh, status: int) -> None:
    one = mesh.request(CLIENT, f"http://catalog-v1/status/{status}")
    assert (one.status, one.attempts) == (status, 1)


def test_another_pod_is_asked(mesh: Mesh) -> None:
    """In turn, so that whoever is asked next is another one."""
    mesh.apply(IN_TURN)
    with mesh.inject(faults.abort(to=CALLEE, grpc_status=UNAVAILABLE)):
        found = mesh.send(CLIENT, CALL.format("catalog"), requests=20, concurrency=1).exchanges
    assert {one.grpc_status for one in found} == {OK}
    assert {one.backend.workload for one in found if one.backend} == {"catalog-v2"}
    assert 2 in {one.attempts for one in found} <= {1, 2}


def hashed(mesh: Mesh, *policies: str) -> set[tuple[int | None, int | None]]:
    """How calls of sixteen users end while one of their two pods fails, and after how many attempts."""
    mesh.apply(*policies)
    with mesh.inject(faults.abort(to=CALLEE, grpc_status=UNAVAILABLE)):
        found = [
            mesh.request(CLIENT, CALL.format("catalog"), headers={"x-user": f"user-{number}"})
            for number in range(16)
        ]
    return {(one.grpc_status, one.attempts) for one in found}


def test_with_a_hash_a_rule_asks_the_same_pod(mesh: Mesh) -> None:
    """It was chosen for a reason."""
    assert hashed(mesh, BY_USER, ROUTED) == {(OK, 1), (UNAVAILABLE, 3)}


def test_without_a_rule_it_asks_another_one(mesh: Mesh) -> None:
    """Where no VirtualService leads there, istiod does not look for a hash; how soon another is found is chance."""
    assert (OK, 2) in hashed(mesh, BY_USER) <= {(OK, 1), (OK, 2), (OK, 3)}


def test_how_a_callers_sidecar_is_told(mesh: Mesh) -> None:
    """What cannot be counted: how often it looks for another pod, and what is no answer of an application."""
    shown = json.loads(mesh.admin(CLIENT, "/config_dump?resource=dynamic_route_configs"))["configs"]
    (told,) = [each["route_config"] for each in shown if each["route_config"]["name"] == "80"]
    (host,) = [each for each in told["virtual_hosts"] if each["name"] == f"{HOST}:80"]
    (policy,) = [each["route"]["retry_policy"] for each in host["routes"]]
    assert policy["retry_on"] == "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
    assert "retriable_status_codes" not in policy
    assert (policy["num_retries"], policy["host_selection_retry_max_attempts"]) == (2, "5")
    assert [each["name"] for each in policy["retry_host_predicate"]] == [
        "envoy.retry_host_predicates.previous_hosts"
    ]


def counted(mesh: Mesh, port: int) -> dict[str, int]:
    """How often the callee's sidecar failed to connect to its application, and how often it tried again."""
    begin = f"cluster.inbound|{port}||;."
    stats = json.loads(mesh.admin(CALLEE, f"/stats?format=json&filter={port}"))["stats"]
    names = {"upstream_cx_connect_fail": "failed", "upstream_rq_retry": "again"}
    told = {
        each["name"].removeprefix(begin): each["value"] for each in stats if begin in each.get("name", "")
    }
    return {short: told.get(name, 0) for name, short in names.items()}


@pytest.mark.parametrize(
    ("url", "port", "again"),
    [
        ("http://catalog-v1/", 8080, 2),
        ("h2c://catalog-v1:8081/", 8081, 2),
        (CALL.format("catalog-v1"), 7070, 0),
    ],
    ids=["http", "h2c", "grpc"],
)
def test_a_callees_sidecar_tries_its_application_twice_more(
    mesh: Mesh, url: str, port: int, again: int
) -> None:
    """As far as no request has begun; of gRPC, whose streams may be long, nothing."""
    mesh.apply(OFF)
    before = counted(mesh, port)
    with mesh.inject(faults.kill(to=CALLEE)):
        nobody_is_connected(mesh, CALLEE, f"inbound|{port}||::")
        one = mesh.request(CLIENT, url)
        after = counted(mesh, port)
    assert one.backend is None
    assert {name: after[name] - before[name] for name in after} == {"failed": again + 1, "again": again}
    (inbound,) = [hop for hop in one.hops if hop.side == "inbound"]
    assert inbound.flags == ("URX,UF" if again else "UF")
