from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.runner import head_start

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_an_engine_that_cannot_start_is_no_error_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHTEST_ISTIOD", str(tmp_path / "nothing"))
    assert head_start.engine() is None


def test_nothing_is_built_for_a_head_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MESHTEST_ISTIOD", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert head_start.engine() is None
