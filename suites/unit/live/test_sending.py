from __future__ import annotations

from typing import Any

import pytest

from meshtest.errors import ScenarioError
from meshtest.live.sending import Pace


@pytest.mark.parametrize(
    ("pace", "total"),
    [
        (Pace(requests=1), 1),
        (Pace(requests=200, concurrency=8), 200),
        (Pace(rate=50, duration=2), 100),
        (Pace(rate=10, duration=0.001), 1),
        (Pace(rate=50, requests=7), 7),
    ],
    ids=["one", "many", "rate", "at-least-one", "rate-and-number"],
)
def test_how_many_requests(pace: Pace, total: int) -> None:
    assert pace.total == total


@pytest.mark.parametrize("pace", [Pace(), Pace(rate=5)])
def test_no_number_is_an_error(pace: Pace) -> None:
    with pytest.raises(
        ScenarioError, match=r"requests: how many requests.; expected requests, or rate and duration"
    ):
        _ = pace.total


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("requests", [0, -1, 1.5, "many", True]),
        ("concurrency", [0, -1, 2.5, None, "8"]),
        ("rate", [0, -0.1, "fast"]),
        ("duration", [0, "1s", [1]]),
    ],
)
def test_what_sends_nothing_is_an_error(key: str, values: list[Any]) -> None:
    for value in values:
        given: dict[str, Any] = {"requests": 10, key: value}
        with pytest.raises(ScenarioError, match=f"{key}: .* sends nothing; expected a .*number more than 0"):
            _ = Pace(**given).total
