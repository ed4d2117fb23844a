"""Judges the MeshConfig of a scenario as istiod does at its start, and says where the mistake stands."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from meshtest.errors import ScenarioError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest.istiod.engine import Engine
    from meshtest.scenario.model import Scenario

KEY = "meshConfig"
_UNKNOWN = re.compile(r'unknown field "(?P<word>[^"]+)"')
_MESH_CONFIG = ("", "MeshConfig")


def check_mesh_config(scenario: Scenario, engine: Engine) -> None:
    """Raise ScenarioError, with file and line, for a MeshConfig that istiod would not take."""
    if scenario.mesh_config:
        with at_its_place(scenario, engine):
            engine.validate([], mesh_config=json.dumps(dict(scenario.mesh_config)))


@contextmanager
def at_its_place(scenario: Scenario, engine: Engine) -> Iterator[None]:
    """Say of a mistake in MeshConfig where it stands in the scenario."""
    try:
        yield
    except ScenarioError as exc:
        if exc.location is not None or exc.key.partition(".")[0] != KEY:
            raise
        raise _placed(exc, scenario, engine) from None


def _placed(exc: ScenarioError, scenario: Scenario, engine: Engine) -> ScenarioError:
    unknown = _UNKNOWN.search(exc.problem)
    if unknown is None:
        key = f"spec.{exc.key}"
        return ScenarioError(exc.problem, location=scenario.at(key), key=key)
    word = unknown["word"]
    written = (
        path for path in scenario.lines if path.startswith(f"spec.{KEY}") and path.endswith(f".{word}")
    )
    key = next(written, f"spec.{KEY}")
    fields = engine.fields([_MESH_CONFIG])[_MESH_CONFIG]
    known = {part.rstrip("[]{}") for path in fields for part in path.split(".")}
    return ScenarioError(
        f"unknown field {word!r}", location=scenario.at(key), key=key, nearest=nearest(word, sorted(known))
    )
