from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from meshtest import change, faults
from meshtest.errors import ConfigurationRejected, ScenarioError
from meshtest.faults.base import Ground
from meshtest.live.changing import Changes
from meshtest.live.faulting import ActiveFaults
from meshtest.mesh.manifests import load_text
from meshtest.scenario.changes import named
from meshtest.waiting import Timeouts, wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from meshtest.mesh.model import MeshModel
    from meshtest.scenario.changes import ChangeSpec

POLICY = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: locked}
spec: {}
"""


class Changed:
    """A mesh that notes what is applied and deleted."""

    def __init__(self) -> None:
        self.model = SimpleNamespace(
            manifests=load_text("{apiVersion: v1, kind: Service, metadata: {name: a}}")
        )
        self.done: list[str] = []
        self.held = ""
        self.refuses = False

    def apply(self, *sources: Any) -> Any:
        return self._do("apply", sources)

    def delete(self, *sources: Any) -> Any:
        return self._do("delete", sources)

    def _do(self, verb: str, sources: Sequence[Any]) -> Any:
        if self.refuses:
            raise ConfigurationRejected("an Envoy does not like it")
        self.done += [f"{verb} {each.ref.name}" for each in sources]
        return SimpleNamespace(details={"held": self.held} if self.held else {})


@pytest.fixture
def mesh() -> Changed:
    return Changed()


@pytest.fixture
def changes(mesh: Changed) -> Changes:
    return Changes(cast("Any", mesh))


@pytest.fixture
def ground(model: MeshModel) -> Ground:
    return Ground(model=model, sandbox=cast("Any", None), timeouts=Timeouts(), seed=1)


def expected(changes: Changes, *specs: ChangeSpec) -> tuple[ChangeSpec, ...]:
    wanted = named(specs)
    changes.expect(wanted)
    return wanted


def test_those_without_a_time_are_made_first_and_the_others_by_the_clock(
    mesh: Changed, changes: Changes, ground: Ground
) -> None:
    wanted = expected(changes, change(apply=POLICY, at=0.05), change(delete="Service/a"))
    active = ActiveFaults()
    with active.hold([faults.abort(to="ratings")], ground, [*changes.by_clock(wanted)]):
        changes.make_first(wanted)
        assert mesh.done == ["delete a"]
        began = time.time()
        active.begin_traffic(began, None)
        wait_until(lambda: len(mesh.done) == 2, 2.0, lambda: str(mesh.done))
    late, first = changes.made
    assert (late.id, late.what) == ("change-1", "apply AuthorizationPolicy default/locked")
    assert late.asked - began >= 0.05
    assert first.asked <= first.made <= began


def test_they_come_without_any_fault(mesh: Changed, changes: Changes, ground: Ground) -> None:
    wanted = expected(changes, change(apply=POLICY, at=0.0))
    active = ActiveFaults()
    with active.hold([], ground, [*changes.by_clock(wanted)]):
        assert active.timed
        active.begin_traffic(time.time(), None)
        wait_until(lambda: mesh.done, 2.0, lambda: "nothing was done")
    assert not active.timed


def test_one_whose_time_never_comes_says_so(mesh: Changed, changes: Changes, ground: Ground) -> None:
    wanted = expected(changes, change(apply=POLICY, at=60))
    active = ActiveFaults()
    with active.hold([], ground, [*changes.by_clock(wanted)]):
        active.begin_traffic(time.time(), None)
    assert (changes.made[0].made, mesh.done) == (0.0, [])
    changes.forget()
    assert changes.made == ()


def test_what_holds_it_up_is_kept(mesh: Changed, changes: Changes) -> None:
    mesh.held = "the control plane is down"
    changes.make_first(expected(changes, change(apply=POLICY)))
    assert changes.made[0].held == "the control plane is down"


def test_one_that_is_refused_is_told_to_whoever_sends(
    mesh: Changed, changes: Changes, ground: Ground
) -> None:
    mesh.refuses = True
    wanted = expected(changes, change(apply=POLICY, at=0.0))
    active = ActiveFaults()

    def send() -> None:
        with active.hold([], ground, [*changes.by_clock(wanted)]):
            active.begin_traffic(time.time(), None)
            clock, _ = active._meanwhile[0]
            assert clock._thread is not None
            clock._thread.join(2)
            active.check()

    with pytest.raises(ConfigurationRejected, match="does not like it"):
        send()


def test_sources_of_every_sort(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(POLICY)
    (manifest,) = load_text(POLICY.replace("locked", "made"))
    found = change(apply=[POLICY.replace("locked", "text"), tmp_path / "a.yaml", manifest], at=1, name="x")
    assert [each.ref.name for each in found.apply] == ["text", "locked", "made"]
    assert (found.at, found.name, found.location.file) == (1, "x", __file__)


def test_mistakes_point_to_the_line() -> None:
    for wrong in ({}, {"apply": POLICY, "delete": "Service/a"}):
        with pytest.raises(ScenarioError, match=r"test_changing\.py:\d+: change: .*one of apply and delete"):
            change(**wrong)  # type: ignore[arg-type]  # what is wrong about it
    with pytest.raises(ScenarioError, match="'a' names no object; expected KIND/NAME"):
        change(delete="a")
