from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshtest import faults
from meshtest.errors import ScenarioError
from meshtest.faults.http import Marked, mark, placement
from meshtest.scenario.bounds import TextMatch
from meshtest.traffic.model import Request

if TYPE_CHECKING:
    from meshtest.mesh.model import MeshModel
    from meshtest.scenario.faults import FaultSpec


@pytest.mark.parametrize(
    ("spec", "actions"),
    [
        (faults.abort(to="ratings"), ("abort:503",)),
        (faults.abort(to="ratings", http_status=404), ("abort:404",)),
        (faults.abort(to="ratings", grpc_status=0), ("grpc:0",)),
        (faults.delay(to="ratings", fixed_delay=0.0015), ("delay:2",)),
        (faults.delay(to="ratings", fixed_delay=7), ("delay:7000",)),
        (faults.response_rate(to="ratings", kib_per_second=64), ("rate:64",)),
    ],
    ids=["default", "http", "grpc", "rounded", "seconds", "rate"],
)
def test_a_mark_says_what_happens(model: MeshModel, spec: FaultSpec, actions: tuple[str, ...]) -> None:
    made = mark(spec, "f1", model)
    assert (made.id, made.actions, made.sources) == ("f1", actions, ())
    assert made.targets == ("default/ratings-v1",) or "b/ratings-v1" in made.targets


def test_a_mark_says_which_requests_and_attempts(model: MeshModel) -> None:
    spec = faults.abort(to="reviews-v1", path_prefix="/a", method="GET", attempts=[1, 2])
    made = mark(spec, "f1", model)
    assert (made.path, made.method, made.attempts) == ("^/a", "GET", (1, 2))
    assert mark(faults.abort(to="reviews-v1", path="/a"), "f1", model).path == "=/a"


def test_callers_are_told_apart_by_address_since_they_may_share_a_service_account(model: MeshModel) -> None:
    spec = faults.abort(to="ratings", from_="reviews-v1")
    (address,) = {pod.ip for pod in model.pods if pod.workload == "reviews-v1"}
    assert mark(spec, "f1", model).sources == (address,)
    behind = mark(spec, "f1", model, between="10.9.9.9").sources
    assert behind == (address, "10.9.9.9=default/sa-reviews-v1")


def test_an_unknown_caller_is_an_error(model: MeshModel) -> None:
    with pytest.raises(ScenarioError, match=r"abort.from: no workload, service or pod 'nobody'"):
        mark(faults.abort(to="ratings", from_="nobody"), "f1", model)


RATINGS = "http://ratings:9080/ratings/0?x=1"


@pytest.mark.parametrize(
    ("where", "url", "caller", "meant"),
    [
        ({}, RATINGS, "default/reviews-v1-0", True),
        ({"from_": "reviews-v1"}, RATINGS, "default/reviews-v1-0", True),
        ({"from_": "reviews-v1"}, RATINGS, "default/reviews-v2-0", False),
        ({"from_": "reviews-v1"}, "http://reviews:9080/", "default/reviews-v2-0", True),
        ({"path": "/ratings/0"}, RATINGS, "default/reviews-v1-0", True),
        ({"path": "/ratings"}, RATINGS, "default/reviews-v1-0", False),
        ({"path_prefix": "/ratings"}, RATINGS, "default/reviews-v1-0", True),
        ({"path": "/ratings"}, "http://reviews:9080/", "default/reviews-v1-0", True),
        ({"method": "POST"}, RATINGS, "default/reviews-v1-0", False),
        ({"method": "POST"}, "http://elsewhere.example/", "default/reviews-v1-0", True),
    ],
)  # fmt: skip
def test_requests_that_surely_miss_it_are_not_counted_among_those_it_is_about(
    model: MeshModel,
    where: dict[str, Any],
    url: str,
    caller: str,
    meant: bool,  # noqa: FBT001
) -> None:
    about = Marked(id="f1", spec=faults.abort(to="default/ratings-v1", **where), model=model)
    assert about.may_meet(Request(url=url), caller) is meant


def test_headers_that_a_request_lacks_it_lacks_everywhere(model: MeshModel) -> None:
    spec = faults.abort(to="*", headers={"End-User": TextMatch(exact="jason")})
    about = Marked(id="f1", spec=spec, model=model)
    request = Request(url=RATINGS, headers=(("end-user", "jason"),))
    assert about.may_meet(request, "default/reviews-v1-0")
    assert not about.may_meet(Request(url=RATINGS), "default/reviews-v1-0")


def test_the_placement_names_the_callees(model: MeshModel) -> None:
    assert placement(faults.abort(to="reviews"), model).startswith(
        "inbound side of default/reviews-v1, default/reviews-v2: "
    )


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (
            {"http_status": 500, "grpc_status": 1},
            "abort: httpStatus and grpcStatus both stand here; expected one of them",
        ),
        ({"percentage": 0}, "percentage: 0% meets no request; expected more than 0%"),
        (
            {"percentage": 101},
            "percentage: 101 is not between 0% and 100%; expected a percentage such as 30%",
        ),
        ({"percent": 3}, "abort: unknown argument 'percent'; .*did you mean 'percentage'?"),
    ],
    ids=["two-statuses", "nothing", "too-much", "misspelt"],
)
def test_an_argument_without_meaning_is_an_error(where: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        faults.abort(to="ratings", **where)


def test_a_fault_knows_the_line_that_made_it() -> None:
    spec = faults.delay(to="ratings", fixed_delay=1)
    assert spec.location.file == __file__
    assert "spec = faults.delay" in Path(__file__).read_text().splitlines()[spec.location.line - 1]
