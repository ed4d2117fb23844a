"""What is judged of a scenario file before any pod is started.

file ─► scenarios ─► per scenario: mesh as it begins and after each change ─► names, faults, validation, placement
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshtest.faults.judging import judge
from meshtest.live.mesh_settings import check_mesh_config, written_for
from meshtest.live.notices import refused
from meshtest.mesh.objects import identity_of
from meshtest.scenario.changes import states
from meshtest.scenario.loader import load
from meshtest.scenario.placement import check_placement
from meshtest.scenario.resolve import resolve
from meshtest.scenario.senders import check_senders

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from meshtest.istiod.engine import Engine
    from meshtest.mesh.model import Manifest, MeshModel
    from meshtest.runner.pool import MeshPool
    from meshtest.scenario.model import Scenario


def collect(path: Path, pool: MeshPool) -> list[Scenario]:
    """The scenarios of a file, each judged as a cluster would judge its manifests.

    Raises ScenarioError or ManifestError for the first mistake, EngineError where there is no engine.
    """
    scenarios = load(path)  # first: what is wrong with the file is said also where there is no engine
    engine = pool.judge()  # comes up while the manifests are read
    judged = Judged()
    for scenario in scenarios:
        model, *later = models(scenario, pool)
        resolve(scenario, model, later)
        judge(scenario.faults, model, pool.capabilities(scenario))
        check_senders(scenario, model)
        for each in (model, *later):
            _validate(each, engine, judged)
        check_placement(scenario, model)
    return scenarios


def models(scenario: Scenario, pool: MeshPool) -> Sequence[MeshModel]:
    """The mesh as it begins, and after each change."""
    given = pool.given(scenario)
    return [_model(scenario, held, pool) for held in (given, *states(scenario.changes, given))]


def _model(scenario: Scenario, held: Sequence[Manifest], pool: MeshPool) -> MeshModel:
    written = written_for(scenario, held)
    check_mesh_config(written, pool.judge(), allow_unsupported=pool.options.allow_unsupported)
    return pool.built(held, scenario)


class Judged:
    """The objects that were judged already, of several meshes that have most of them in common."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str, str, str], Mapping[str, Any]] = {}

    def fresh(self, model: MeshModel) -> list[dict[str, Any]]:
        """Those of a mesh that were not, or not like this."""
        found = [body for body in model.objects if self._last.get(identity_of(body)) != body]
        self._last.update((identity_of(body), body) for body in found)
        return [dict(body) for body in found]


def _validate(model: MeshModel, engine: Engine, judged: Judged) -> None:
    errors = [message for message in engine.validate(judged.fresh(model)) if message.level == "error"]
    if errors:
        raise refused(errors, model, engine)
