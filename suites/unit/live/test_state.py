from __future__ import annotations

import json

import pytest

from meshtest.errors import ScenarioError
from meshtest.live.state import mesh_config_text


def test_a_word_of_a_mesh_config_stays_a_word() -> None:
    """Go's YAML reads a bare `y` as true."""
    given = {"defaultConfig": {"proxyMetadata": {"LETTER": "y", "TEXT": "a: b", "SMILE": "☺"}}}
    assert json.loads(mesh_config_text(given) or "") == given
    assert '"y"' in (mesh_config_text(given) or "")


@pytest.mark.parametrize("given", [None, "enableAutoMtls: false"])
def test_a_text_is_taken_as_it_is(given: str | None) -> None:
    assert mesh_config_text(given) is given


def test_what_is_no_mesh_config_is_an_error() -> None:
    with pytest.raises(ScenarioError, match="mesh_config: 3 is none; expected a mapping, or YAML"):
        mesh_config_text(3)  # type: ignore[arg-type]  # what a user may hand over
