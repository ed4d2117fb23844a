"""What stands on the disk of a container besides its image, as a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """Files, and folders that hide what the image has there."""

    files: Mapping[str, tuple[bytes, int]] = field(default_factory=dict)
    """Absolute path -> content and mode."""
    folders: tuple[str, ...] = ()
    group: int | None = None
    """Whom all of it belongs to besides root."""
    shared: Mapping[str, str] = field(default_factory=dict)
    """Folder -> volume, where the pod's containers find what another one of them wrote."""
