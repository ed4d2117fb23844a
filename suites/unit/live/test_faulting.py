from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from meshtest import faults
from meshtest.errors import ScenarioError
from meshtest.faults.base import Ground
from meshtest.live.faulting import ActiveFaults, are_faults
from meshtest.traffic.model import Exchange, Hop, Outcome, Request
from meshtest.waiting import Timeouts

if TYPE_CHECKING:
    from meshtest.mesh.model import MeshModel


@pytest.fixture
def ground(model: MeshModel) -> Ground:
    return Ground(model=model, sandbox=cast("Any", None), timeouts=Timeouts(), seed=1)


def hop(*met: str) -> Hop:
    texts: dict[str, Any] = {
        "side": "inbound",
        "layer": "http",
        "flags": "",
        "details": "",
        "route": "",
        "config": "",
        "cluster": "",
    }
    return Hop(
        pod="default/ratings-v1-0", status=200, attempts=0, attempt=1, upstream="", peer="", tls="", upstream_peer="",
        start=0.0, duration_ms=1.0, faults=met, **texts,
    )  # fmt: skip


def exchange(*met: str) -> Exchange:
    return Exchange(
        id="e", caller="default/reviews-v1-0", request=Request(url="http://ratings:9080/"), outcome=Outcome.RESPONSE,
        started=0.0, latency=0.0, hops=(hop(*met),),
    )  # fmt: skip


@pytest.mark.parametrize("given", [None, "abort", {"abort": {}}, [faults.abort(to="ratings-v1")]])
def test_what_is_no_fault_is_an_error(given: Any) -> None:
    with pytest.raises(ScenarioError, match=r"^inject: .* is no fault; expected faults.abort\(\.\.\.\)"):
        are_faults([faults.abort(to="ratings-v1"), given])


def test_faults_are_in_force_inside_the_block_only(ground: Ground) -> None:
    active = ActiveFaults()
    with active.hold([faults.abort(to="ratings"), faults.delay(to="reviews", fixed_delay=1)], ground):
        assert [fault.id for fault in active.active] == ["abort-1", "delay-2"]
    assert active.active == ()
    assert [window.kind for window in active.windows] == ["delay", "abort"]
    assert all(0 < window.injected <= window.recovered for window in active.windows)


def test_faults_are_recovered_where_the_block_fails(ground: Ground) -> None:
    active = ActiveFaults()
    with pytest.raises(ZeroDivisionError), active.hold([faults.abort(to="ratings")], ground):
        raise ZeroDivisionError
    assert active.active == ()
    assert len(active.windows) == 1


def test_nothing_is_in_force_where_one_has_no_place(ground: Ground) -> None:
    active = ActiveFaults()
    wrong = faults.abort(to="rating")
    with (
        pytest.raises(ScenarioError, match="no workload, service or pod 'rating'"),
        active.hold([faults.abort(to="ratings"), wrong], ground),
    ):
        raise AssertionError
    assert (active.active, active.windows) == ((), ())


def test_hits_are_counted_from_what_the_sidecars_logged(ground: Ground) -> None:
    active = ActiveFaults()
    with active.hold([faults.abort(to="ratings", name="mine"), faults.abort(to="ratings")], ground):
        active.count([exchange("mine"), exchange(), exchange("mine", "other")])
        active.count([exchange("mine")])
    assert {window.id: window.hits for window in active.windows} == {"mine": 3, "abort-1": 0}


def test_two_faults_of_one_name_are_told_apart(ground: Ground) -> None:
    active = ActiveFaults()
    with active.hold([faults.abort(to="ratings", name="same")], ground):
        with active.hold([faults.abort(to="ratings", name="same")], ground):
            assert len({fault.id for fault in active.active}) == 2
        assert [fault.id for fault in active.active] == ["same"]


def test_forgetting_keeps_what_is_in_force(ground: Ground) -> None:
    active = ActiveFaults()
    with active.hold([faults.abort(to="ratings")], ground):
        pass
    with active.hold([faults.delay(to="ratings", fixed_delay=1)], ground):
        active.forget()
        assert [window.kind for window in active.windows] == ["delay"]
