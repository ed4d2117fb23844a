from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest import faults
from meshtest.errors import ScenarioError
from meshtest.faults.judging import judge
from meshtest.faults.placing import placement

if TYPE_CHECKING:
    from meshtest.mesh.model import MeshModel
    from meshtest.scenario.faults import FaultSpec

EXPIRED = faults.certificate(to="ratings", expired=True)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (faults.control_plane_down(), "the control plane's process, killed"),
        (faults.control_plane_paused(), "the control plane's process, stopped in its tracks"),
        (faults.slow_push(delay=2), "between the control plane and every sidecar: pushes come 2 s late"),
        (faults.partial_push(to="ratings-v1-0"), "between the control plane and default/ratings-v1"),
        (faults.rejected_push(), "whatever is pushed is refused"),
        (faults.stale_endpoints(), "changes of endpoints do not arrive"),
        (faults.secrets_withheld(), "requests for certificates get no answer"),
    ],
)
def test_placement_says_where_it_sits(model: MeshModel, spec: FaultSpec, said: str) -> None:
    assert said in placement(spec, model)


@pytest.mark.parametrize(
    "specs",
    [
        [EXPIRED, faults.control_plane_down()],
        [
            faults.control_plane_down(during=(2, 1)),
            faults.certificate(to="ratings", expired=True, during=(0, 1)),
        ],
        [
            faults.control_plane_down(during=(0, 1)),
            faults.certificate(to="ratings", expired=True, during=(2, 1)),
        ],
        [faults.control_plane_down(), faults.abort(to="ratings")],
    ],
    ids=["before it", "over before it", "after it", "no matter of the control plane"],
)
def test_what_is_brought_in_time_goes_with_an_outage(model: MeshModel, specs: list[FaultSpec]) -> None:
    judge(specs, model, ())


@pytest.mark.parametrize(
    ("specs", "word"),
    [
        ([faults.control_plane_down(), EXPIRED], "begins"),
        ([faults.control_plane_down(), faults.partial_push(to="ratings")], "begins"),
        ([EXPIRED, faults.control_plane_paused(during=(1, None))], ""),
        (
            [
                faults.certificate(to="ratings", expired=True, during=(0, 2)),
                faults.control_plane_down(during=(1, 5)),
            ],
            "ends",
        ),
        (
            [faults.certificate(to="ratings", expired=True, during=(0, 1)), faults.control_plane_down()],
            "begins",
        ),
        (
            [
                faults.certificate(to="ratings", expired=True, during=(0, 2)),
                faults.control_plane_down(during=(1, 1)),
            ],
            "ends",
        ),
    ],
    ids=[
        "under it",
        "another push",
        "ends with it",
        "ends under it",
        "after its start",
        "just before its end",
    ],
)
def test_what_an_outage_would_keep_from_the_sidecars_is_refused(
    model: MeshModel, specs: list[FaultSpec], word: str
) -> None:
    if not word:  # both end with the traffic, the outage first
        judge(specs, model, ())
        return
    with pytest.raises(ScenarioError, match=f"the control plane is out when .* {word}"):
        judge(specs, model, ())


def test_one_process_has_one_outage(model: MeshModel) -> None:
    with pytest.raises(ScenarioError, match="the control plane is under controlPlane at that time"):
        judge([faults.control_plane_down(), faults.control_plane_paused()], model, ())
