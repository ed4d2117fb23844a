from __future__ import annotations

import math
import random
from fractions import Fraction
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshtest.checks import statistics

SHARES = st.integers(min_value=0, max_value=100).map(lambda percent: percent / 100)


def exact_at_most(k: int, n: int, p: float) -> float:
    share = Fraction(p)
    return float(sum(comb(n, i) * share**i * (1 - share) ** (n - i) for i in range(max(0, min(k, n) + 1))))


@given(n=st.integers(1, 60), k=st.integers(-2, 62), p=SHARES)
@settings(max_examples=150, deadline=None)
def test_tails_are_those_of_exact_arithmetic(n: int, k: int, p: float) -> None:
    assert statistics.at_most(k, n, p) == pytest.approx(exact_at_most(k, n, p), rel=1e-9, abs=1e-14)
    assert statistics.at_least(k, n, p) == pytest.approx(1 - exact_at_most(k - 1, n, p), rel=1e-6, abs=1e-12)


def test_tails_keep_their_digits_far_below_the_precision_of_one() -> None:
    assert statistics.at_least(60, 60, 0.01) == pytest.approx(1e-120)
    assert statistics.at_most(0, 1000, 0.5) == pytest.approx(2.0**-1000)


def test_a_million_samples_are_sound_and_quick() -> None:
    n = 1_000_000
    assert statistics.at_most(500_000, n, 0.5) == pytest.approx(0.5, abs=1e-3)
    # five standard deviations of 500 below the mean: the normal law's 2.867e-7, skew aside
    assert statistics.at_most(497_500, n, 0.5) == pytest.approx(2.867e-7, rel=0.01)
    accepted = statistics.window(n, 0.5)
    assert 497_500 < accepted.low < 497_600
    assert accepted.high == n - accepted.low


def test_known_values() -> None:
    # R: pbinom(3, 10, 0.5), pbinom(12, 20, 0.7), 1 - pbinom(7, 10, 0.3)
    assert statistics.at_most(3, 10, 0.5) == pytest.approx(0.171875)
    assert statistics.at_most(12, 20, 0.7) == pytest.approx(0.2277282)
    assert statistics.at_least(8, 10, 0.3) == pytest.approx(0.001590386)


@given(n=st.integers(1, 300), p=SHARES, alpha=st.sampled_from([0.05, 1e-3, 1e-6]))
@settings(max_examples=150, deadline=None)
def test_the_window_is_the_narrowest_that_keeps_its_promise(n: int, p: float, alpha: float) -> None:
    accepted = statistics.window(n, p, alpha)
    assert statistics.at_most(accepted.low - 1, n, p) <= alpha / 2
    assert statistics.at_least(accepted.high + 1, n, p) <= alpha / 2
    assert accepted.low <= n * p <= accepted.high
    if accepted.low < math.floor(n * p):
        assert statistics.at_most(accepted.low, n, p) > alpha / 2
    if accepted.high > math.ceil(n * p):
        assert statistics.at_least(accepted.high, n, p) > alpha / 2


@given(n=st.integers(1, 300), p=SHARES)
@settings(max_examples=60, deadline=None)
def test_the_window_of_the_opposite_share_is_its_mirror(n: int, p: float) -> None:
    one, other = statistics.window(n, p), statistics.window(n, round(1 - p, 2))
    assert (one.low, one.high) == (n - other.high, n - other.low)


@pytest.mark.parametrize(("share", "window"), [(0.0, (0, 0)), (1.0, (40, 40))])
def test_a_share_of_nothing_or_all_accepts_nothing_else(share: float, window: tuple[int, int]) -> None:
    accepted = statistics.window(40, share)
    assert (accepted.low, accepted.high) == window


@given(p=SHARES, detect=st.sampled_from([0.05, 0.1, 0.3]))
@settings(max_examples=25, deadline=None)
def test_the_sample_size_has_the_power_that_was_asked_for(p: float, detect: float) -> None:
    n = statistics.sample_size(p, detect, wanted=0.99)
    assert statistics.power(n, p, detect) >= 0.99
    assert n == 1 or statistics.power(max(1, n // 2), p, detect) < 0.99


def test_the_power_is_how_often_a_wrong_share_is_noticed() -> None:
    n, draw = statistics.sample_size(0.5, 0.2, alpha=1e-3, wanted=0.9), random.Random(1)  # noqa: S311 - seeded
    accepted = statistics.window(n, 0.5, 1e-3)
    runs = 2000
    noticed = sum(sum(draw.random() < 0.7 for _ in range(n)) not in accepted for _ in range(runs))
    assert noticed / runs == pytest.approx(statistics.power(n, 0.5, 0.2, 1e-3), abs=0.03)


def test_false_alarms_are_as_rare_as_promised() -> None:
    draw, runs, n = random.Random(2), 4000, 100  # noqa: S311 - seeded
    accepted = statistics.window(n, 0.3, 0.05)
    alarms = sum(sum(draw.random() < 0.3 for _ in range(n)) not in accepted for _ in range(runs))
    assert alarms / runs <= 0.05 + 0.01


def test_several_shares_divide_the_false_alarms_among_them() -> None:
    judged = statistics.accept_all({"v1": 90, "v2": 10}, {"v1": 0.9, "v2": 0.1}, alpha=1e-6)
    assert judged["v1"].alpha == pytest.approx(5e-7)
    assert all(each.holds for each in judged.values())
    assert not statistics.accept_all({"v1": 50, "v2": 50}, {"v1": 0.9, "v2": 0.1})["v1"].holds


def test_acceptance_prints_observed_window_n_and_power() -> None:
    said = statistics.accept(62, 200, 0.3, detect=0.2).text()
    assert said.startswith("31% (62 of 200, accepted 30..93")
    assert "power 0." in said
    assert "for ±20%" in said


@pytest.mark.parametrize(("q", "value"), [(0.0, 1), (0.5, 5), (0.9, 9), (0.95, 10), (0.99, 10), (1.0, 10)])
def test_percentiles_are_values_that_were_measured(q: float, value: int) -> None:
    assert statistics.percentile(list(range(10, 0, -1)), q) == value


def test_p99_of_a_hundred_is_the_second_largest() -> None:
    assert statistics.percentile(range(1, 101), 0.99) == 99


@pytest.mark.parametrize(
    ("q", "count"), [(0.5, 2), (0.9, 10), (0.95, 20), (0.99, 100), (0.999, 1000), (1.0, 1), (0.0, 1)]
)
def test_a_percentile_needs_enough_samples(q: float, count: int) -> None:
    assert statistics.samples_needed(q) == count


@pytest.mark.parametrize("bad", [(0, 0.5, 0.1), (10, 1.5, 0.1), (10, 0.5, 0.0)])
def test_refuses_what_has_no_window(bad: tuple[int, float, float]) -> None:
    with pytest.raises(ValueError, match="no acceptance window"):
        statistics.window(*bad)
