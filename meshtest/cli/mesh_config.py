"""The MeshConfig that a command goes by: the file of its option, or else that of the manifests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from meshtest.errors import Location
from meshtest.mesh.mesh_config import Written, mesh_config_in

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from meshtest.mesh.model import Manifest


def written(options: argparse.Namespace, manifests: Iterable[Manifest]) -> Written | None:
    """It, and where it stands."""
    file = options.mesh_config
    if file is None:
        return mesh_config_in(manifests)
    return Written(text=Path(file).read_text(encoding="utf-8"), location=Location(file=file, line=1))
