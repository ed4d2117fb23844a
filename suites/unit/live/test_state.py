from __future__ import annotations

import json
from pathlib import Path

import pytest

from meshtest.errors import ScenarioError
from meshtest.live.state import mesh_config_text


def test_a_word_of_a_mesh_config_stays_a_word() -> None:
    """Go's YAML reads a bare `y` as true."""
    given = {"defaultConfig": {"proxyMetadata": {"LETTER": "y", "TEXT": "a: b", "SMILE": "☺"}}}
    assert json.loads(mesh_config_text(given) or "") == given
    assert '"y"' in (mesh_config_text(given) or "")


@pytest.mark.parametrize("given", [None, "enableAutoMtls: false", "", " ", "{}", "# nothing", "---\n"])
def test_a_text_is_taken_as_it_is(given: str | None) -> None:
    assert mesh_config_text(given) is given


def test_what_is_no_mesh_config_is_an_error() -> None:
    with pytest.raises(ScenarioError, match="mesh_config: 3 is none; expected a mapping, YAML, or"):
        mesh_config_text(3)  # type: ignore[arg-type]  # what a user may hand over


@pytest.mark.parametrize("shape", [str, Path], ids=["text", "path"])
def test_it_may_stand_in_a_file(shape: type, tmp_path: Path) -> None:
    (tmp_path / "mesh.yaml").write_text("enableAutoMtls: false\n", encoding="utf-8")
    assert mesh_config_text(shape(tmp_path / "mesh.yaml")) == "enableAutoMtls: false\n"


def test_a_file_that_is_not_there_is_an_error() -> None:
    with pytest.raises(
        ScenarioError, match=r"mesh_config: no file 'mesh.yml'; expected a mapping, YAML, or the"
    ):
        mesh_config_text("mesh.yml")
