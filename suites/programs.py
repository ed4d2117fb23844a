"""Programs in Python that a test runs inside a pod, with whatever Python is there."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshtest import Mesh
    from meshtest.runtime.base import Completed

_PYTHON = {"netns": sys.executable, "docker": "python3"}


def run(mesh: Mesh, pod: str, source: str, *arguments: str) -> Completed:
    """Its end; the arguments are the program's `sys.argv[1:]`."""
    return mesh.execute(pod, [_PYTHON[mesh.runtime], "-c", source, *arguments])
