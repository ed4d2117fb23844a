"""Certificates and keys in scenarios: as PEM, or the name of a file with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshtest.scenario.fields import Shape, shown

if TYPE_CHECKING:
    from meshtest.scenario.fields import Spot

_BEGINNING = "-----BEGIN "


def _read(value: Any, spot: Spot) -> str:
    """PEM as it stands there, or in a file beside the scenario."""
    if isinstance(value, str) and _BEGINNING in value:
        return value
    path = Path(spot.document.location.file).parent / str(value)
    try:
        found = path.read_text(encoding="utf-8") if isinstance(value, str) else ""
    except (OSError, UnicodeError):
        found = ""
    if _BEGINNING not in found:
        raise spot.error(f"no PEM at {shown(value)}", expected="PEM, or a file that holds it")
    return found


PEM = Shape(expected="PEM, or a file that holds it", read=_read, schema={"type": "string"})
