"""Policies and pods that change while the control plane fails: who goes on with the last good configuration.

Each fault has its twin: the same change where the fault is about somebody else, or is over, and so takes effect.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from meshtest import change, faults
from meshtest.errors import RuntimeFailure

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh
    from meshtest.scenario.faults import FaultSpec

pytestmark = pytest.mark.mesh("../../fixtures/bookinfo", "../../fixtures/legacy")

URL = "http://ratings:9080/ratings/0"
LOCKED = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: locked}
spec: {selector: {matchLabels: {app: ratings}}, action: DENY, rules: [{}]}
"""
ELSEWHERE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ratings}
spec: {hosts: [ratings], http: [{directResponse: {status: 418}}]}
"""
TWO_RATINGS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: ratings-v1, labels: {app: ratings, version: v1}}
spec:
  replicas: 2
  selector: {matchLabels: {app: ratings, version: v1}}
  template:
    metadata: {labels: {app: ratings, version: v1}}
    spec:
      serviceAccountName: bookinfo-ratings
      containers: [{name: ratings, image: "registry.example/ratings:1", ports: [{containerPort: 9080}]}]
"""


def statuses(mesh: Mesh, caller: str = "reviews-v2") -> set[int | None]:
    return {each.status for each in mesh.send(caller, URL, requests=5).exchanges}


def replicas(mesh: Mesh, caller: str) -> set[str]:
    found = mesh.send(caller, URL, requests=20).exchanges
    return {each.backend.pod for each in found if each.backend}


@pytest.mark.parametrize(
    "fault",
    [
        faults.control_plane_down(),
        faults.control_plane_paused(),
        faults.partial_push(to="ratings"),
        faults.rejected_push(to="ratings"),
        faults.slow_push(delay=60, to="ratings"),
    ],
    ids=["down", "paused", "partial push", "rejected push", "slow push"],
)
def test_callee_keeps_its_last_good_policy_until_the_fault_is_over(mesh: Mesh, fault: FaultSpec) -> None:
    with mesh.inject(fault):
        mesh.apply(LOCKED)
        assert statuses(mesh) == {200}
    assert mesh.fault_windows[-1].hits >= 1
    assert statuses(mesh) == {403}


@pytest.mark.parametrize(
    "fault",
    [
        faults.partial_push(to="details"),
        faults.rejected_push(to="details"),
        faults.slow_push(delay=60, to="details"),
    ],
    ids=["partial push", "rejected push", "slow push"],
)
def test_whom_the_fault_is_not_about_gets_the_new_policy_at_once(mesh: Mesh, fault: FaultSpec) -> None:
    with mesh.inject(fault):
        mesh.apply(LOCKED)
        assert statuses(mesh) == {403}


@pytest.mark.parametrize(
    "fault",
    [
        faults.control_plane_down(),
        faults.rejected_push(to="reviews-v2"),
        faults.partial_push(to="reviews-v2"),
    ],
    ids=["down", "rejected push", "partial push"],
)
def test_caller_keeps_its_routes(mesh: Mesh, fault: FaultSpec) -> None:
    with mesh.inject(fault):
        mesh.apply(ELSEWHERE)
        assert statuses(mesh) == {200}
    assert statuses(mesh) == {418}


def test_only_some_callers_learn_of_a_new_route(mesh: Mesh) -> None:
    with mesh.inject(faults.partial_push(to="reviews-v2")):
        mesh.apply(ELSEWHERE)
        assert (statuses(mesh, "reviews-v2"), statuses(mesh, "reviews-v3")) == ({200}, {418})


def test_slow_push_arrives_in_the_end(mesh: Mesh) -> None:
    with mesh.inject(faults.slow_push(delay=0.3)):
        applied = time.monotonic()
        mesh.apply(LOCKED)
        assert statuses(mesh) == {200}
        while statuses(mesh) != {403}:
            assert time.monotonic() - applied < 5
        assert time.monotonic() - applied >= 0.3


def test_stale_endpoints_hide_new_replicas_from_one_caller_only(mesh: Mesh) -> None:
    with mesh.inject(faults.stale_endpoints(to="reviews-v2")):
        mesh.apply(TWO_RATINGS)
        assert replicas(mesh, "reviews-v2") == {"ratings-v1-0"}
        assert replicas(mesh, "reviews-v3") == {"ratings-v1-0", "ratings-v1-1"}
    assert mesh.fault_windows[-1].hits == 1
    assert replicas(mesh, "reviews-v2") == {"ratings-v1-0", "ratings-v1-1"}


def test_endpoints_that_are_gone_are_still_called_by_whom_nobody_told(mesh: Mesh) -> None:
    mesh.apply(TWO_RATINGS)
    with mesh.inject(faults.stale_endpoints(to="reviews-v2")):
        mesh.delete(TWO_RATINGS)
        assert statuses(mesh, "reviews-v2") == {503}
    assert mesh.fault_windows[-1].hits == 1


def test_apply_waits_for_nobody_whom_the_fault_keeps_from_it(mesh: Mesh) -> None:
    with mesh.inject(faults.control_plane_down()):
        began = time.monotonic()
        pushed = mesh.apply(LOCKED)
        assert time.monotonic() - began < 2
        assert pushed.details["held"] == "the control plane is down"


def test_what_only_the_control_plane_knows_cannot_be_asked_while_it_is_down(mesh: Mesh) -> None:
    with (
        mesh.inject(faults.control_plane_down()),
        pytest.raises(RuntimeFailure, match="the control plane cannot be asked for 'admin': it is down"),
    ):
        mesh.admin("ratings-v1", "/stats")


def test_pushes_that_nobody_made_are_no_hits(mesh: Mesh) -> None:
    with mesh.inject(faults.partial_push(to="ratings")):
        assert statuses(mesh) == {200}
    assert mesh.fault_windows[-1].hits == 0


def test_a_new_control_plane_signs_with_the_old_root(mesh: Mesh) -> None:
    with mesh.inject(faults.control_plane_down()):
        pass
    with mesh.inject(
        faults.certificate(to="reviews-v2", identity="spiffe://cluster.local/ns/default/sa/other")
    ):
        one = mesh.request("reviews-v2", URL)
    assert (one.status, one.peer_identity) == (200, "spiffe://cluster.local/ns/default/sa/other")


def test_a_change_by_the_clock_of_the_traffic(mesh: Mesh) -> None:
    sent: list[Exchange] = []
    with mesh.inject(changes=[change(apply=LOCKED, at=0.2, name="lock")]):
        while not mesh.changes_made[0].made:
            sent += mesh.send("reviews-v2", URL, requests=10).exchanges
        sent += mesh.send("reviews-v2", URL, requests=10).exchanges
    (locked,) = mesh.changes_made
    assert {each.status for each in sent if each.started + each.latency < locked.asked} <= {200}
    assert {each.status for each in sent if each.started >= locked.made} == {403}


def test_requests_to_a_pod_that_came_meanwhile_are_complete(mesh: Mesh) -> None:
    for duration in (1.0, 4.0, 16.0, 50.0):  # on a busy machine a pod takes its time, a container above all
        mesh.replace()
        with mesh.inject(changes=[change(apply=TWO_RATINGS, at=0.1)]):
            sent = mesh.send("reviews-v2", URL, rate=50, duration=duration, timeout=10).exchanges
        by_new = [each for each in sent if each.backend and each.backend.pod == "ratings-v1-1"]
        if by_new:
            break
    assert by_new
    assert all(each.complete and each.hops[-1].pod == "default/ratings-v1-1" for each in by_new)
