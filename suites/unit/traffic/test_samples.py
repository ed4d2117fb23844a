from __future__ import annotations

import pytest

from meshtest.traffic.samples import plan_faults


@pytest.mark.parametrize(
    ("requests", "percentage", "hit"),
    [(1000, 10, 100), (1000, 0.1, 1), (1000, 35, 350), (7, 50, 4), (10, 100, 10), (10, 0, 0), (0, 50, 0)],
)
def test_the_share_is_exact(requests: int, percentage: float, hit: int) -> None:
    chosen = plan_faults(requests, percentage, seed=1)
    assert len(chosen) == len(set(chosen)) == hit
    assert list(chosen) == sorted(chosen)
    assert all(0 <= position < requests for position in chosen)


def test_the_same_seed_chooses_the_same_requests() -> None:
    assert plan_faults(1000, 10, seed=7) == plan_faults(1000, 10, seed=7)
    assert plan_faults(1000, 10, seed=7) != plan_faults(1000, 10, seed=8)


def test_first_n_takes_the_first_of_those_chosen() -> None:
    assert plan_faults(100, seed=1, first_n=3) == (0, 1, 2)
    assert plan_faults(100, 50, seed=1, first_n=3) == plan_faults(100, 50, seed=1)[:3]


def test_a_percentage_beyond_100_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 100"):
        plan_faults(10, 101, seed=1)


def test_requests_sent_one_by_one_get_their_share_too() -> None:
    hits = [len(plan_faults(1, 30, seed=1, before=sent)) for sent in range(100)]
    assert sum(hits) == 30
    assert set(hits) == {0, 1}
