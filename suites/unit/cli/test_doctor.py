from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.runtime.netns.runtime import NetnsRuntime

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from suites.unit.cli.conftest import Said


@pytest.mark.usefixtures("engine")
def test_one_line_for_each_thing_that_a_mesh_needs(cli: Callable[..., Said]) -> None:
    said = cli("doctor")
    words = [line.split()[1] for line in said.out.splitlines()]
    assert words == ["python", "pytest", "envoy", "engine", "go", "netns", "docker"]
    assert said.err == ""
    if NetnsRuntime().missing() is None:
        assert said.status == 0
        assert "✗" not in said.out


def test_a_wrong_engine_and_a_missing_envoy_are_told_together(process: Callable[..., Said]) -> None:
    said = process("doctor", env={"MESHTEST_ISTIOD": "/nonexistent", "MESHTEST_ENVOY": "/nowhere"})
    told = {line.split()[1]: line for line in said.out.splitlines()}
    assert said.status == 1
    assert told["engine"].startswith("✗")
    assert "MESHTEST_ISTIOD=/nonexistent is not a program" in told["engine"]
    assert told["envoy"].startswith("✗")


def test_an_engine_that_is_not_there_is_not_built(process: Callable[..., Said], tmp_path: Path) -> None:
    said = process("doctor", env={"MESHTEST_ISTIOD": "", "XDG_CACHE_HOME": str(tmp_path)})
    (line,) = [line for line in said.out.splitlines() if line.split()[1] == "engine"]
    if "package meshtest-istiod" not in line:
        assert "meshtest doctor --build" in line
        assert not list(tmp_path.rglob("meshtest-istiod"))


def test_a_terminal_without_unicode_is_no_reason_to_fail(process: Callable[..., Said]) -> None:
    said = process("doctor", env={"MESHTEST_ISTIOD": "/nonexistent", "PYTHONIOENCODING": "ascii"})
    assert said.status == 1
    assert "\\u2717 engine" in said.out


def test_cleaning_says_what_it_found(cli: Callable[..., Said]) -> None:
    said = cli("doctor", "--clean")
    assert said.status == 0
    assert "nothing to clean" in said.out or "that dead runs had left" in said.out
