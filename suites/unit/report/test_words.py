from __future__ import annotations

import pytest

from meshtest.report.words import brief, moment, seconds, share, shorten


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 µs"),
        (0.00034, "340 µs"),
        (0.0123, "12.3 ms"),
        (0.9999, "1 s"),
        (2.309, "2.31 s"),
        (72, "1 min 12 s"),
    ],
)
def test_durations(value: float, text: str) -> None:
    assert seconds(value) == text


def test_shares_are_whole_only_where_exact() -> None:
    found = [share(*pair) for pair in ((0, 0), (0, 9), (9, 9), (1, 10000), (9999, 10000), (1, 3))]
    assert found == ["0 %", "0 %", "100 %", "< 0.1 %", "> 99.9 %", "33.3 %"]


def test_any_number_is_a_moment() -> None:
    assert moment(0.0) == ""
    assert moment(1e30) == "1e+30"
    assert moment(86400.0) == "1970-01-02 00:00:00 UTC"


def test_values_are_brief() -> None:
    assert [brief(value) for value in (True, None, 0.95424, 3, "x", {"a": 1})] == [
        "true", "null", "0.9542", "3", "x", '{"a": 1}',
    ]  # fmt: skip


def test_long_texts_are_shortened_and_say_by_how_much() -> None:
    assert shorten("a\nb\nc", lines=2, characters=100) == ("a\nb", 1)
    assert shorten("aaaa\nb", lines=9, characters=3) == ("aaa", 1)
    assert shorten("", lines=9, characters=3) == ("", 0)
