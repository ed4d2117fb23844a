"""What makes two tests share a mesh: the same manifests with the same applications, on the same runtime."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshtest.errors import ScenarioError, nearest
from meshtest.mesh.sources import is_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshtest.live.applications import Applications


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


def sources_of(named: Iterable[str | Path], folder: Path, root: Path) -> list[str | Path]:
    """What the marker names: YAML itself, and files relative to the test's own file, else to pytest's root."""
    return [
        one if isinstance(one, str) and is_text(one) else _found(Path(one), folder, root) for one in named
    ]


def _found(path: Path, folder: Path, root: Path) -> Path:
    return folder / path if path.is_absolute() or (folder / path).exists() else root / path


def check_options(options: Mapping[str, Any]) -> None:
    """Raise ScenarioError for an argument of the `mesh` marker that there is not."""
    known = ("calls", "commands", "images", "proxies", "external", "mesh_config", "engine_env")
    for name in options:
        if name not in known:
            raise ScenarioError(
                f"unknown argument {name!r}",
                key="mesh",
                expected=f"some of {', '.join(known)}",
                nearest=nearest(name, known),
            )


def _plain(table: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {key: list(value) for key, value in table.items()}
