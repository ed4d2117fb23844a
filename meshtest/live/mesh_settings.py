"""Judges a MeshConfig as istiod does at its start, and says where the mistake stands."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from meshtest.errors import ScenarioError, nearest
from meshtest.mesh.mesh_config import KEY, Written, mesh_config_in, settings_of
from meshtest.mesh.yaml_lines import lines_below
from meshtest.mesh.yaml_source import nearest_location

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshtest.errors import Location
    from meshtest.istiod.engine import Engine
    from meshtest.mesh.model import Manifest
    from meshtest.scenario.model import Scenario

_UNKNOWN = re.compile(r'unknown field "(?P<word>[^"]+)"')
_MESH_CONFIG = ("", "MeshConfig")


def written_for(scenario: Scenario, manifests: Iterable[Manifest]) -> Written | None:
    """The MeshConfig of a scenario, or else that of its manifests."""
    if not scenario.mesh_config:
        return mesh_config_in(manifests)
    key = f"spec.{KEY}"
    return Written(
        text=json.dumps(dict(scenario.mesh_config)),
        key=key,
        location=scenario.at(key),
        places=lines_below(scenario.lines, key),
    )


def check_mesh_config(written: Written | None, engine: Engine, *, allow_unsupported: bool) -> None:
    """Raise ScenarioError, with file and line, for what istiod would not take, or nothing acts on."""
    if written is not None:
        with at_its_place(written, engine):
            engine.validate([], mesh_config=written.text)
            settings_of(written.text).check(allow_unsupported=allow_unsupported)


@contextmanager
def at_its_place(written: Written | None, engine: Engine) -> Iterator[None]:
    """Say of a mistake in MeshConfig where it is written."""
    try:
        yield
    except ScenarioError as exc:
        if written is None or written.location is None or exc.location is not None:
            raise
        key, _, path = exc.key.partition(".")
        if key != KEY:
            raise
        raise _placed(exc, path, written, written.location, engine) from None


def _placed(
    exc: ScenarioError, path: str, written: Written, default: Location, engine: Engine
) -> ScenarioError:
    lines = written.lines()
    unknown = _UNKNOWN.search(exc.problem)
    problem, likely = exc.problem, None
    if unknown is not None:
        word = unknown["word"]
        path = next((each for each in lines if each.rpartition(".")[2] == word), "")
        fields = engine.fields([_MESH_CONFIG])[_MESH_CONFIG]
        known = {part.rstrip("[]{}") for name in fields for part in name.split(".")}
        problem, likely = f"unknown field {word!r}", nearest(word, sorted(known))
    return ScenarioError(
        problem,
        location=nearest_location(lines, path, default),
        key=f"{written.key}.{path}" if path else written.key,
        nearest=likely,
    )
