"""`--mesh-keep`: after a failure, the mesh stays as it is until the user has looked around in it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from meshtest.errors import MeshTestError
from meshtest.runner.session import progress, uncaptured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pytest

    from meshtest.live.mesh import Mesh

HELP = "the mesh is kept: type `POD COMMAND...` to run a program inside a pod; an empty line ends it"


def keep(config: pytest.Config, failure: str, mesh: Mesh) -> None:
    """Wait at the terminal until the user has looked at the mesh of an item that failed."""
    say = progress(config)
    say(f"\n{failure}\n")
    try:
        with uncaptured(config), Path("/dev/tty").open(encoding="utf-8") as terminal:
            hold(mesh, terminal, say)
    except OSError:
        say("--mesh-keep: there is no terminal to wait at, so the mesh is not kept")


def hold(mesh: Mesh, lines: Iterable[str], say: Callable[[str], None]) -> None:
    """Show the pods and run what the user types, until an empty line or the end of the input."""
    width = max((len(pod.key) for pod in mesh.pods), default=0)
    for pod in mesh.pods:
        say(f"  {pod.key:<{width}}  {pod.ip}")
    say(HELP)
    for line in lines:
        if not line.strip():
            return
        say(_answer(mesh, line))


def _answer(mesh: Mesh, line: str) -> str:
    try:
        pod, *argv = shlex.split(line)
        if not argv:
            return HELP
        done = mesh.execute(pod, argv)
    except (MeshTestError, ValueError) as exc:
        return str(exc)
    status = f"(exit status {done.returncode})" if done.returncode else ""
    return "\n".join(part.rstrip("\n") for part in (done.stdout, done.stderr, status) if part)
