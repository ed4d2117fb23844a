from __future__ import annotations

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


@pytest.mark.parametrize("pace", [Pace(), Pace(requests=0), Pace(requests=-1), Pace(rate=5)])
def test_no_number_is_an_error(pace: Pace) -> None:
    with pytest.raises(
        ScenarioError, match=r"requests: how many requests.; expected requests, or rate and duration"
    ):
        _ = pace.total
