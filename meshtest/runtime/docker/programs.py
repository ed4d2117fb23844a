"""Programs of the user's machine in containers: their files are copied, since nothing of the host is mounted."""

from __future__ import annotations

import stat
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from meshtest.errors import RuntimeFailure
from meshtest.runtime.docker import image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshtest.runtime.base import Command

Files = dict[str, tuple[bytes, int]]
"""Path -> content and mode."""


def translated(command: Command) -> tuple[Command, Files]:
    """The command as it runs in meshtest's image, and the files that go there: every argument that names one.

    Python itself is the image's own.
    """
    program, *arguments = command.argv
    files = files_of(command.argv)
    if not files and Path(program).is_absolute() and not _is_python(program):
        raise RuntimeFailure(
            f"{program} is not a file of this machine, so it cannot be copied into a container"
        )
    return replace(command, argv=(image.PYTHON if _is_python(program) else program, *arguments)), files


def files_of(argv: Sequence[str]) -> Files:
    """The files that words of a command line name."""
    files: Files = {}
    for word in argv:
        path = Path(word)
        if path.is_absolute() and path.is_file() and not _is_python(word):
            files[word] = path.read_bytes(), stat.S_IMODE(path.stat().st_mode) | 0o444
    return files


def _is_python(word: str) -> bool:
    return word == sys.executable or Path(word).name.startswith("python3")
