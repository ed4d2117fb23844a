from __future__ import annotations

from typing import Any

import pytest

from meshtest.checks import Verdict


def test_percentiles_within_limits_pass(make: Any) -> None:
    exchanges = [make.exchange(latency=0.001 * n) for n in range(1, 101)]
    found = make.judge("latency: {p50: {atMost: 50ms}, p99: {atLeast: 99ms, atMost: 99ms}}", exchanges)
    assert found.verdict is Verdict.PASS
    assert found.observed["p99"] == pytest.approx(0.099)


def test_too_slow_shows_the_slowest(make: Any) -> None:
    exchanges = [make.exchange(latency=0.001 * n) for n in range(1, 101)]
    found = make.judge("latency: {p90: {atMost: 80ms}}", exchanges)
    assert found.verdict is Verdict.FAIL
    assert found.reason == "expected p90 ≤ 80ms, saw 90ms over 100 requests"
    assert found.evidence[0] == exchanges[-1].id


def test_too_fast_fails_too(make: Any) -> None:
    assert make.judge("latency: {min: {atLeast: 1s}}", make.many(5)).verdict is Verdict.FAIL


def test_few_samples_are_unknown(make: Any) -> None:
    found = make.judge("latency: {p99: {atMost: 1s}}", make.many(99))
    assert (found.verdict, found.reason) == (Verdict.UNKNOWN, "p99 needs 100 requests, saw 99")


def test_a_generator_that_fell_behind_is_unknown(make: Any) -> None:
    found = make.judge("latency: {max: {atMost: 100ms}}", make.many(10, sent_late=0.2))
    assert found.verdict is Verdict.UNKNOWN
    assert "fell behind by 200ms" in found.reason


def test_a_little_late_does_not_matter(make: Any) -> None:
    assert make.judge("latency: {max: {atMost: 1s}}", make.many(10, sent_late=0.05)).verdict is Verdict.PASS


def test_nothing_sent_is_unknown(make: Any) -> None:
    assert make.judge("latency: {max: {atMost: 1s}}", []).verdict is Verdict.UNKNOWN
