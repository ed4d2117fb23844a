from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshtest import faults
from meshtest.errors import ScenarioError
from meshtest.faults.http import marks, placement

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
    (mark,) = marks(spec, "f1", model)
    assert (mark.id, mark.actions, mark.source) == ("f1", actions, "")
    assert mark.targets == ("default/ratings-v1",) or "b/ratings-v1" in mark.targets


def test_a_mark_says_which_requests_and_attempts(model: MeshModel) -> None:
    spec = faults.abort(to="reviews-v1", path_prefix="/a", method="GET", attempts=[1, 2])
    (mark,) = marks(spec, "f1", model)
    assert (mark.path, mark.method, mark.attempts) == ("^/a", "GET", (1, 2))
    (exact,) = marks(faults.abort(to="reviews-v1", path="/a"), "f1", model)
    assert exact.path == "=/a"


def test_there_is_a_mark_per_caller(model: MeshModel) -> None:
    found = marks(faults.abort(to="ratings", from_="reviews"), "f1", model)
    assert [mark.source for mark in found] == ["default/sa-reviews-v1", "default/sa-reviews-v2"]


def test_the_placement_names_the_callees(model: MeshModel) -> None:
    assert placement(faults.abort(to="reviews"), model).startswith(
        "inbound side of default/reviews-v1, default/reviews-v2: "
    )


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (
            {"http_status": 500, "grpc_status": 1},
            "abort: http_status and grpc_status both given; expected one of them",
        ),
        ({"percentage": 0}, "abort.percentage: 0 is no share; expected more than 0, at most 100"),
        ({"percentage": 101}, "abort.percentage: 101 is no share"),
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
