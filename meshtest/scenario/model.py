"""What a scenario is, once it is read: plain values, nothing resolved against a mesh yet.

Scenario ── manifests, policies, mesh_config, calls, commands, images, proxies, external   the mesh under test
         ── traffic                                               what is sent
         ── faults                                                what goes wrong meanwhile
         ── changes                                               what is applied and deleted meanwhile
         ── expect                                                what must hold
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from meshtest.errors import Location
    from meshtest.mesh.external import ExternalHost
    from meshtest.mesh.model import Manifest
    from meshtest.scenario.changes import ChangeSpec
    from meshtest.scenario.expect import CheckSpec, ExpectFailure
    from meshtest.scenario.faults import FaultSpec
    from meshtest.scenario.images import ImageSpec
    from meshtest.scenario.traffic import Traffic

API_VERSION = "meshtest.dev/v1"
KIND = "Scenario"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestPath:
    """A path or glob of `manifests:` as written, and what it stands for."""

    written: str
    paths: tuple[Path, ...]
    location: Location


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One scenario, one pytest item; a matrix makes several of one document."""

    name: str
    location: Location
    traffic: tuple[Traffic, ...]
    expect: tuple[CheckSpec, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    manifests: tuple[ManifestPath, ...] = ()
    policies: tuple[Manifest, ...] = ()
    """The manifests that stand in the same file."""
    mesh_config: Mapping[str, Any] = field(default_factory=dict)
    calls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Workload -> workloads, services or URLs that its stand-in calls."""
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """`namespace/workload` -> the command that runs in place of the stand-in."""
    images: Mapping[str, ImageSpec] = field(default_factory=dict)
    proxies: Mapping[str, str] = field(default_factory=dict)
    """Workload or `*` -> the image whose Envoy it has instead of meshtest's."""
    """Workload (or `*`) -> the container image that runs in place of the stand-in; the docker runtime only."""
    external: Mapping[str, ExternalHost] = field(default_factory=dict)
    """Hosts outside the mesh, by name."""
    faults: tuple[FaultSpec, ...] = ()
    changes: tuple[ChangeSpec, ...] = ()
    seed: int | None = None
    expect_failure: ExpectFailure | None = None
    matrix: Mapping[str, Any] = field(default_factory=dict)
    """The variables of this expansion."""
    lines: Mapping[str, int] = field(default_factory=dict, repr=False, compare=False)
    """Key path -> line of the document."""

    def at(self, path: str) -> Location:
        """Where a key path stands, or its nearest written parent."""
        from meshtest.mesh.yaml_source import nearest_location  # noqa: PLC0415 - spares PyYAML whoever only reads

        return nearest_location(self.lines, path, self.location)
