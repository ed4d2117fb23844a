"""What other faults and changes of policy do while a fault has sidecars stand still or gone: they do not wait."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshtest import Mesh, faults
from meshtest.errors import RuntimeFailure
from meshtest.runtime.base import Action, Part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest.scenario.faults import FaultSpec

BOOKINFO = Path(__file__).parents[3] / "fixtures" / "bookinfo"
URL = "http://ratings:9080/ratings/0"
LOCKED = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: locked}
spec: {selector: {matchLabels: {app: ratings}}, action: DENY, rules: [{}]}
"""
SOON = 15.0
"""Far below the time that a push may take."""


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with Mesh.from_manifests(BOOKINFO, runtime="netns") as made:
        yield made


@pytest.fixture(params=["pause", "kill"])
def gone(request: pytest.FixtureRequest) -> FaultSpec:
    make = {"pause": faults.pause, "kill": faults.kill}[request.param]
    return make(to="ratings-v1", part="sidecar", during=(0.0, 0.1))


@pytest.mark.parametrize(
    "other",
    [
        faults.latency(to="reviews", latency=0.01, during=(0.05, 0.2)),
        faults.latency(to="reviews", latency=0.01, during=(0.02, 0.03)),
        faults.certificate(to="ratings", expired=True, during=(0.05, 0.2)),
        faults.root_removed(to="ratings", during=(0.02, 0.03)),
        faults.rejected_push(to="ratings", during=(0.05, 0.2)),
        faults.control_plane_down(during=(0.05, 0.2)),
        faults.control_plane_paused(during=(0.02, 0.03)),
    ],
    ids=["detour", "short detour", "certificate", "root", "rejected push", "down", "paused"],
)
def test_another_fault_comes_and_goes_at_its_time(mesh: Mesh, gone: FaultSpec, other: FaultSpec) -> None:
    began = time.monotonic()
    with mesh.inject(gone, other):
        mesh.send("productpage-v1", "http://reviews:9080/", rate=50, duration=0.3, timeout=0.2)
    assert time.monotonic() - began < SOON
    assert mesh.request("reviews-v2", URL).status == 200


def test_a_change_of_policy_does_not_wait_and_is_live_after_recovery(mesh: Mesh) -> None:
    for fault in (faults.pause, faults.kill):
        began = time.monotonic()
        with mesh.inject(fault(to="ratings-v1", part="sidecar")):
            mesh.apply(LOCKED)
        assert time.monotonic() - began < SOON
        assert mesh.request("reviews-v2", URL).status == 403
        mesh.delete(LOCKED)
        assert mesh.request("reviews-v2", URL).status == 200


def test_a_change_that_was_made_without_control_plane_reaches_one_that_stands_still_when_it_is_back(
    mesh: Mesh,
) -> None:
    with mesh.inject(faults.pause(to="ratings-v1", part="sidecar")), mesh.inject(faults.control_plane_down()):
        mesh.apply(LOCKED)
    assert mesh.request("reviews-v2", URL).status == 403
    mesh.delete(LOCKED)


def test_signals_of_users_are_known_too(mesh: Mesh) -> None:
    mesh.signal("ratings-v1", Part.SIDECAR, Action.PAUSE)
    began = time.monotonic()
    mesh.apply(LOCKED)
    with pytest.raises(RuntimeFailure, match="stands still or has ended"):
        mesh.admin("ratings-v1", "/stats")
    assert time.monotonic() - began < SOON
    mesh.signal("ratings-v1", Part.SIDECAR, Action.RESUME)
    assert mesh.request("reviews-v2", URL).status == 403
    mesh.delete(LOCKED)
