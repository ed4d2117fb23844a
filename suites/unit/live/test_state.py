from __future__ import annotations

import json

import pytest

from meshtest.live.state import mesh_config_text


def test_a_word_of_a_mesh_config_stays_a_word() -> None:
    """Go's YAML reads a bare `y` as true."""
    given = {"defaultConfig": {"proxyMetadata": {"LETTER": "y", "TEXT": "a: b", "SMILE": "☺"}}}
    assert json.loads(mesh_config_text(given) or "") == given
    assert '"y"' in (mesh_config_text(given) or "")


@pytest.mark.parametrize("given", [None, "enableAutoMtls: false"])
def test_a_text_is_taken_as_it_is(given: str | None) -> None:
    assert mesh_config_text(given) is given
