"""What makes two tests share a mesh: the same manifests with the same applications, on the same runtime."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshtest.errors import ScenarioError
from meshtest.live.arguments import known_words, switches_of
from meshtest.mesh.sources import is_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshtest.live.applications import Applications
    from meshtest.mesh.sources import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """A mesh as its tests ask for it."""

    manifests: tuple[str, ...]
    applications: str
    runtime: str


def topology_of(
    paths: Sequence[str | Path], applications: Applications, runtime: str, options: Mapping[str, Any]
) -> Topology:
    """The mesh of these files; policies that tests apply later make no difference."""
    shape = [
        _plain(applications.calls),
        _plain(applications.commands),
        applications.images,
        dict(applications.proxies),
        applications.external.hosts,
        options,
    ]
    return Topology(
        manifests=tuple(map(str, paths)),
        applications=json.dumps(shape, sort_keys=True, default=str),
        runtime=runtime,
    )


def sources_of(named: Iterable[Source], folder: Path, root: Path) -> list[str | Path]:
    """What the marker names: YAML itself, mappings, and files relative to the test's file, else to pytest's root."""
    found: list[str | Path] = []
    for one in named:
        if isinstance(one, Mapping):
            found.append(json.dumps(one, default=str))
        elif isinstance(one, (list, tuple)):
            found += sources_of(one, folder, root)
        elif not isinstance(one, (str, Path)):
            raise ScenarioError(
                f"{one!r} is no manifest", key="mesh", expected="a file, a folder, YAML or a mapping"
            )
        else:
            found.append(one if isinstance(one, str) and is_text(one) else _found(Path(one), folder, root))
    return found


def options_here(options: Mapping[str, Any], folder: Path, root: Path) -> dict[str, Any]:
    """Options of the marker: a file of MeshConfig is found as files of manifests are."""
    found = dict(options)
    config = found.get("mesh_config")
    if isinstance(config, Path) or (isinstance(config, str) and config and ":" not in config):
        found["mesh_config"] = _found(Path(config), folder, root)
    if "engine_env" in found:
        found["engine_env"] = switches_of(found["engine_env"])
    return found


def _found(path: Path, folder: Path, root: Path) -> Path:
    return folder / path if path.is_absolute() or (folder / path).exists() else root / path


def check_options(options: Mapping[str, Any]) -> None:
    """Raise ScenarioError for an argument of the `mesh` marker that there is not."""
    known = ("calls", "commands", "images", "proxies", "external", "mesh_config", "engine_env")
    known_words(options, known, "argument", key="mesh")


def _plain(table: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {key: list(value) for key, value in table.items()}
