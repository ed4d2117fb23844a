from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshtest import faults
from meshtest.errors import ScenarioError, Unsupported
from meshtest.faults.base import Ground
from meshtest.faults.connection import callees, callers, check, placement, plan, told
from meshtest.faults.detours import counted, server
from meshtest.waiting import Timeouts

if TYPE_CHECKING:
    from meshtest.mesh.model import MeshModel
    from meshtest.scenario.faults import FaultSpec


@pytest.mark.parametrize(
    ("spec", "kind", "attributes"),
    [
        (faults.latency(to="ratings", latency=0.1), "latency", {"latency": 100, "jitter": 0}),
        (faults.latency(to="ratings", latency=1, jitter=0.02), "latency", {"latency": 1000, "jitter": 20}),
        (faults.bandwidth(to="ratings", rate=64), "bandwidth", {"rate": 64}),
        (faults.slow_close(to="ratings", delay=2), "slow_close", {"delay": 2000}),
        (faults.timeout(to="ratings"), "timeout", {"timeout": 0}),
        (faults.reset_peer(to="ratings", timeout=0.25), "reset_peer", {"timeout": 250}),
        (
            faults.slicer(to="ratings", average_size=20, size_variation=5, delay=0.0015),
            "slicer",
            {"average_size": 20, "size_variation": 5, "delay": 1500},
        ),
        (faults.limit_data(to="ratings", limit=1024), "limit_data", {"bytes": 1024}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_toxiproxy_is_told_in_its_own_units(spec: Any, kind: str, attributes: dict[str, int]) -> None:
    expected = {"type": kind, "stream": "downstream", "toxicity": 1.0, "attributes": attributes}
    assert told(spec.action) == [expected]


def test_both_ways_are_two_toxics() -> None:
    spec: Any = faults.latency(to="ratings", latency=0.1, stream="both", toxicity=0.5)
    assert [each["stream"] for each in told(spec.action)] == ["upstream", "downstream"]
    assert {each["toxicity"] for each in told(spec.action)} == {0.5}


def test_every_sidecar_is_a_caller_unless_some_are_named(model: MeshModel) -> None:
    assert "default/reviews-v1-0" in [pod.key for pod in callers(faults.down(to="ratings"), model)]
    some = callers(faults.down(to="ratings", from_="reviews"), model)
    assert [pod.key for pod in some] == ["default/reviews-v1-0", "default/reviews-v2-0"]


def test_callees_need_no_sidecar(model: MeshModel) -> None:
    assert [pod.key for pod in callees(faults.down(to="legacy"), model)] == ["old/legacy-0"]


def test_the_placement_is_between_the_sidecars(model: MeshModel) -> None:
    said = placement(faults.down(to="reviews", from_="a/batch"), model)
    assert said.startswith("between the sidecars of a/batch and default/reviews-v1, default/reviews-v2: ")
    assert placement(faults.down(to="reviews"), model).startswith("between the sidecars of all callers and ")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (faults.down(to="rating"), r"down.to: no workload, service or pod 'rating' .*did you mean 'ratings'"),
        (faults.down(to="ratings", from_="nobody"), "down.from: no workload, service or pod 'nobody'"),
        (faults.down(to="ratings", from_="legacy"), "down.from: old/legacy-0 has no sidecar"),
        (faults.down(to="reviews"), "down.to: reviews is behind headless Services only"),
        (faults.down(to="batch"), "down.to: batch is behind no Service"),
        (
            faults.down(to="default/ratings-v1", from_="default/ratings-v1"),
            "down.from: both sides are the same pod",
        ),
    ],
    ids=["callee", "caller", "no-sidecar", "headless", "no-service", "itself"],
)
def test_there_must_be_such_an_edge(model: MeshModel, spec: FaultSpec, message: str) -> None:
    kinds: dict[str, dict[str, Any]] = {
        "ratings": {"cluster_ip": "10.96.0.20"},
        "reviews": {"headless": True},
    }
    services = [replace(each, **kinds.get(each.name, {})) for each in model.services]
    with pytest.raises(ScenarioError, match=message) as found:
        check(spec, replace(model, services=services))
    assert Path(__file__).name in str(found.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: faults.latency(to="a", latency=-1), "latency.latency: '-1s' is not a duration"),
        (lambda: faults.latency(to="a", latency=1, stream="up"), "unknown stream 'up'"),
        (lambda: faults.latency(to="a", latency=1, toxicity=30), "30 is no toxicity"),
        (lambda: faults.latency(to="a", latency=1, percentage=30), "unknown argument 'percentage'"),
        (lambda: faults.down(to="a", stream="both"), "unknown argument 'stream'"),
    ],
    ids=["negative", "stream", "toxicity", "percentage", "down"],
)
def test_mistakes_in_python_are_named(make: Any, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        make()


def test_attempts_are_requests_or_else_refused_connections() -> None:
    clusters = (
        "outbound|80||b::10.244.255.254:21001::cx_total::3\n"
        "outbound|80||b::10.244.255.254:21001::rq_total::40\n"
        "outbound|80||b::10.244.0.9:9080::rq_total::500\n"
    )
    assert counted(clusters, {"10.244.255.254:21001": "10.244.0.7:9080"}) == 40
    assert counted(clusters.replace("::40", "::0"), {"10.244.255.254:21001": ""}) == 3
    assert counted(clusters, {}) == 0


class Place:
    """A sandbox that has a place for Toxiproxy, or has none."""

    def role(self, *_: object) -> None:
        raise AssertionError("nothing is to be started")

    def address(self, _: str) -> str:
        return "10.0.0.1"


@pytest.mark.parametrize(
    ("sandbox", "message"),
    [
        (Place(), r"pip install 'meshtest\[toxiproxy\]'"),
        (object(), "this runtime has no place for Toxiproxy"),
    ],
    ids=["package", "runtime"],
)
def test_what_is_missing_is_said(
    model: MeshModel, monkeypatch: pytest.MonkeyPatch, sandbox: Any, message: str
) -> None:
    monkeypatch.setitem(sys.modules, "toxiproxy", None)
    services = [replace(each, cluster_ip="10.96.0.20") for each in model.services]
    ground = Ground(model=replace(model, services=services), sandbox=sandbox, timeouts=Timeouts(), seed=0)
    with pytest.raises(Unsupported, match=message):
        plan(faults.down(to="ratings"), "f1", ground)


def test_another_toxiproxy_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "toxiproxy-server"
    program.touch(mode=0o755)
    monkeypatch.setenv("MESHTEST_TOXIPROXY", str(program))
    assert server() == [str(program), "-host", "127.0.0.1", "-port", "8474"]
    program.chmod(0o644)
    with pytest.raises(Unsupported, match="is not a program"):
        server()
