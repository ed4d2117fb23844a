"""Quantities as Kubernetes writes them: 500m, 0.5, 64Mi, 1e3."""

from __future__ import annotations

import re

_QUANTITY = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(?:([eE][+-]?\d+)|(n|u|m|k|[MGTPE]|[KMGTPE]i))?")
_FACTORS = {
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "E": 1e18,
    **{f"{letter}i": 2.0 ** (10 * power) for power, letter in enumerate("KMGTPE", start=1)},
}


def quantity_of(text: str) -> float | None:
    """What a quantity says, such as 500m or 64Mi; None for none."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        return None
    return float(found[1] + (found[2] or "")) * _FACTORS.get(found[3], 1.0)
