from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from meshtest.errors import RuntimeFailure
from meshtest.runtime.base import Command
from meshtest.runtime.docker.programs import translated

if TYPE_CHECKING:
    from pathlib import Path


def test_files_that_a_command_names_go_along(tmp_path: Path) -> None:
    program = tmp_path / "server"
    program.write_bytes(b"#!/bin/sh\n")
    program.chmod(0o755)
    command, files = translated(Command(argv=(str(program), "--port=1")))
    assert command.argv == (f"/opt/meshtest/files{program}", "--port=1")
    assert files == {command.argv[0]: (b"#!/bin/sh\n", 0o755)}


def test_python_is_the_images_own(tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.write_text("print(1)")
    command, files = translated(Command(argv=(sys.executable, str(script))))
    assert command.argv[0] == "python3"
    assert list(files) == [command.argv[1]]


def test_a_program_that_is_not_there_is_an_error() -> None:
    with pytest.raises(RuntimeFailure, match="/nowhere/server is not a file of this machine"):
        translated(Command(argv=("/nowhere/server",)))
