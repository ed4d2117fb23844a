"""What the user wrote: `load` reads a `*.mesh.yaml` file, `resolve` holds it against a mesh."""

from __future__ import annotations

from meshtest.scenario.loader import load
from meshtest.scenario.model import Scenario
from meshtest.scenario.resolve import resolve

__all__ = ["Scenario", "load", "resolve"]
