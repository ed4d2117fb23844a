"""Containers that have less CPU than their requests need; runtimes without containers cannot do that to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest import faults
from meshtest.errors import Unsupported

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh

pytestmark = pytest.mark.mesh("../../fixtures/bookinfo")

URL = "http://ratings:9080/ratings/0"
IMPATIENT = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ratings}
spec:
  hosts: [ratings]
  http: [{timeout: 200ms, retries: {attempts: 0}, route: [{destination: {host: ratings}}]}]
"""
LONG = 1.5
"""Seconds; far above the timeout, far below what starved requests take."""
AT_ONCE = 400
"""So many keep a hundredth of a core busy for seconds, however little each of them needs."""


def starved(mesh: Mesh) -> tuple[Exchange, ...]:
    """What becomes of requests to a container with a hundredth of a core."""
    if mesh.runtime != "docker":
        with pytest.raises(Unsupported, match="docker"), mesh.inject(faults.limits(to="ratings", cpu="10m")):
            pass
        pytest.skip(f"the {mesh.runtime} runtime has no limits, and says so")
    with mesh.inject(faults.limits(to="ratings", cpu="10m")):
        sent = mesh.send("reviews-v2", URL, requests=AT_ONCE, concurrency=AT_ONCE, timeout=60).exchanges
    assert (mesh.fault_windows[-1].hits or 0) > 0
    return sent


def test_a_timeout_keeps_callers_from_waiting_for_a_starved_container(mesh: Mesh) -> None:
    mesh.apply(IMPATIENT)
    sent = starved(mesh)
    assert max(one.latency for one in sent) < LONG
    assert {one.status for one in sent} <= {200, 504}
    assert mesh.request("reviews-v2", URL).status == 200


def test_without_timeout_they_wait(mesh: Mesh) -> None:
    """The twin."""
    sent = starved(mesh)
    assert max(one.latency for one in sent) > LONG
    assert mesh.request("reviews-v2", URL, timeout=20).status == 200
