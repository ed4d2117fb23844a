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

    from meshtest.mesh.disk import Disk
    from meshtest.runtime.base import Command

_FOLDER = "/opt/meshtest/files"
Files = dict[str, tuple[bytes, int]]
"""Path -> content and mode; a path that ends with `/` is a folder."""


def translated(command: Command) -> tuple[Command, Files]:
    """The command as it runs in meshtest's image, and the files that go there."""
    program = command.argv[0]
    argv, files = moved(command.argv)
    if not files and Path(program).is_absolute() and not _is_python(program):
        raise RuntimeFailure(
            f"{program} is not a file of this machine, so it cannot be copied into a container"
        )
    return replace(command, argv=tuple(argv)), files


def moved(argv: Sequence[str]) -> tuple[list[str], Files]:
    """A command line with every file of this machine that it names in a folder that all users may read.

    Python itself is the image's own.
    """
    files: Files = {}
    words = []
    for word in argv:
        path = Path(word)
        if _is_python(word):
            words.append(image.PYTHON)
        elif path.is_absolute() and path.is_file():
            files[f"{_FOLDER}{word}"] = path.read_bytes(), stat.S_IMODE(path.stat().st_mode) & 0o777 | 0o444
            words.append(f"{_FOLDER}{word}")
        else:
            words.append(word)
    return words, files


def mounted(disk: Disk) -> Files:
    """What a container finds where its pod mounts something; folders end with `/`, and everybody may write there."""
    mode = 0o1777 if disk.group is None else 0o2777
    return {**{f"{folder}/": (b"", mode) for folder in disk.folders}, **disk.files}


def _is_python(word: str) -> bool:
    return word == sys.executable or Path(word).name.startswith("python3")
