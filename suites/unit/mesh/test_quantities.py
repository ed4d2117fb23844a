from __future__ import annotations

import pytest

from meshtest.mesh.quantities import quantity_of


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", 2.0),
        ("0.5", 0.5),
        (".5", 0.5),
        ("500m", 0.5),
        ("100u", 1e-4),
        ("64Mi", 64 * 2**20),
        ("1Ti", 2**40),
        ("3G", 3e9),
        ("1e3", 1000.0),
        ("2E", 2e18),
    ],
)
def test_quantities(text: str, value: float) -> None:
    assert quantity_of(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "m", "64mi", "64 Mi", "-1", "1ee3", "0x10"])
def test_what_is_none(text: str) -> None:
    assert quantity_of(text) is None
