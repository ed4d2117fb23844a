"""Connection faults on a running mesh: nothing goes past them, nothing of them stays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshtest import Mesh, faults
from meshtest.errors import RuntimeFailure, ScenarioError
from meshtest.faults.detours import ROLE
from meshtest.runtime.base import Action, Part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest.traffic.model import Exchange

pytest.importorskip("toxiproxy", reason="connection faults need toxiproxy-python")

ADDRESS = "10.244.255.254"
BOOKINFO = Path(__file__).parents[3] / "fixtures" / "bookinfo"
RATINGS = "http://ratings:9080/ratings/0"
HEADLESS = """
apiVersion: v1
kind: Service
metadata: {name: headless}
spec: {clusterIP: None, selector: {app: shy}, ports: [{port: 9080, name: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: both}
spec: {selector: {app: shy}, ports: [{port: 9080, name: http}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shy}
spec:
  selector: {matchLabels: {app: shy}}
  template:
    metadata: {labels: {app: shy}}
    spec: {containers: [{name: shy, image: shy, ports: [{containerPort: 9080}]}]}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: narrow}
spec:
  workloadSelector: {labels: {app: details}}
  egress: [{hosts: ["./headless.default.svc.cluster.local"]}]
"""


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with Mesh.from_manifests(BOOKINFO, runtime="netns") as made:
        yield made


def ask(mesh: Mesh, caller: str = "reviews-v2", **fields: Any) -> Exchange:
    return mesh.request(caller, RATINGS, reuse=True, timeout=5, **fields)


def through(one: Exchange) -> bool:
    """Whether its request went through Toxiproxy."""
    return any(hop.upstream.startswith(ADDRESS) for hop in one.hops)


def test_pooled_connections_do_not_go_past_it_and_are_back_at_once(mesh: Mesh) -> None:
    assert [ask(mesh).status for _ in range(5)] == [200] * 5
    with mesh.inject(faults.latency(to="ratings", from_="reviews-v2", latency=0.05)):
        first = ask(mesh)
        assert through(first)
        assert first.latency >= 0.05
        assert first.complete
        assert first.hops[-1].peer == "spiffe://cluster.local/ns/default/sa/bookinfo-reviews"
    after = ask(mesh)
    assert (after.status, through(after)) == (200, False)
    assert mesh.fault_windows[-1].hits == 1
    assert mesh.fault_windows[-1].unit == "attempts"


def test_other_callers_are_not_touched(mesh: Mesh) -> None:
    with mesh.inject(faults.down(to="ratings", from_="reviews-v2")):
        assert ask(mesh).status == 503
        assert ask(mesh, "reviews-v3").status == 200
    assert mesh.fault_windows[-1].hits >= 1


def test_attempts_that_a_retry_mended_are_hits_too(mesh: Mesh) -> None:
    with mesh.inject(faults.reset_peer(to="reviews-v1", from_="productpage-v1")):
        url = "http://reviews:9080/reviews/0"
        sent = mesh.send("productpage-v1", url, requests=20, concurrency=1)
        assert {one.status for one in sent.exchanges} == {200}
    assert mesh.fault_windows[-1].hits >= 1


def test_without_traffic_there_is_no_hit(mesh: Mesh) -> None:
    with mesh.inject(faults.latency(to="ratings", latency=0.01)):
        pass
    assert mesh.fault_windows[-1].hits == 0


def test_it_holds_through_changes_of_policy(mesh: Mesh) -> None:
    policy = (
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: ratings}\n"
        "spec: {host: ratings, trafficPolicy: {loadBalancer: {simple: RANDOM}}}\n"
    )
    with mesh.inject(faults.latency(to="ratings", from_="reviews-v2", latency=0.02)):
        mesh.apply(policy)
        assert through(ask(mesh))
        mesh.delete(policy)
        assert through(ask(mesh))
    assert not through(ask(mesh))


def test_it_holds_when_the_control_plane_is_started_again(mesh: Mesh) -> None:
    with mesh.inject(faults.latency(to="ratings", from_="reviews-v2", latency=0.02)):
        with mesh.inject(faults.control_plane_down()):
            assert through(ask(mesh))
        assert through(ask(mesh))
    assert not through(ask(mesh))


def test_two_faults_on_one_edge_add_up_and_end_one_by_one(mesh: Mesh) -> None:
    inner = faults.latency(to="ratings", from_="reviews-v2", latency=0.06, name="inner")
    with mesh.inject(faults.latency(to="ratings", from_="reviews-v2", latency=0.05, name="outer")):
        with mesh.inject(inner):
            assert ask(mesh).latency >= 0.11
        alone = ask(mesh)
        assert through(alone)
        assert alone.latency >= 0.05
        assert ask(mesh).latency < 0.11
    assert not through(ask(mesh))
    assert {window.id: window.hits for window in mesh.fault_windows[-2:]} == {"inner": 1, "outer": 3}


def test_a_server_that_died_leaves_nothing_behind(mesh: Mesh) -> None:
    with mesh.inject(faults.latency(to="ratings", from_="reviews-v2", latency=0.02)):
        assert ask(mesh).status == 200
        mesh._sandbox.signal(ROLE, Part.APPLICATION, Action.KILL)
        assert ask(mesh).status == 503
    assert (ask(mesh).status, through(ask(mesh))) == (200, False)
    with mesh.inject(faults.latency(to="ratings", from_="reviews-v2", latency=0.02)):
        assert through(ask(mesh))


def test_what_failed_half_way_is_recovered(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHTEST_TOXIPROXY", "/bin/false")
    mesh.begin(1)
    spec = faults.latency(to="ratings", from_="reviews-v2", latency=0.02)
    with Mesh.from_manifests(BOOKINFO, runtime="netns") as other:
        with pytest.raises(RuntimeFailure, match="Toxiproxy server has ended"), other.inject(spec):
            pass
        assert (ask(other).status, through(ask(other))) == (200, False)


def test_by_the_clock_the_server_starts_before_the_traffic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHTEST_TOXIPROXY", "/bin/false")
    later = faults.latency(to="ratings", from_="reviews-v2", latency=0.02, during=(60, None))
    with Mesh.from_manifests(BOOKINFO, runtime="netns") as other:
        with pytest.raises(RuntimeFailure, match="Toxiproxy server has ended"), other.inject(later):
            pass
        assert (ask(other).status, through(ask(other))) == (200, False)


def test_an_edge_without_endpoints_is_refused_with_its_reason(mesh: Mesh) -> None:
    mesh.apply(HEADLESS)
    try:
        down = faults.down(to="shy", from_="details-v1")
        reason = r"no edge from default/details-v1-0 .*ORIGINAL_DST"
        with pytest.raises(ScenarioError, match=reason) as found, mesh.inject(down):
            pass
        assert "test_connection_faults.py" in str(found.value)
        assert mesh.request("details-v1", "http://headless:9080/").status == 200
    finally:
        mesh.delete(HEADLESS)


def test_the_api_is_out_of_the_reach_of_pods(mesh: Mesh) -> None:
    with mesh.inject(faults.latency(to="ratings", from_="reviews-v2", latency=0.01)):
        for address in (ADDRESS, "172.18.0.1", "127.0.0.1"):
            one = mesh.request("reviews-v2", "http://toxiproxy/version", address=address, port=8474)
            assert one.status != 200
