from __future__ import annotations

from typing import Any

import pytest

from meshtest.report.exchanges import pack, unpack
from meshtest.report.timeline import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, palette, timeline


def drawn(sent: list[Any], faults: list[Any] | None = None, *, titled: int = 50, dotted: int = 100) -> Any:
    table = pack(sent)
    return timeline(unpack(table), faults or [], table["summary"]["strip"], titled=titled, dotted=dotted)


@pytest.mark.parametrize("number", [1, 2, 9, 3000])
def test_everything_is_within_the_picture(invented: Any, number: int) -> None:
    picture = drawn(invented.traffic(number, failing=0.2))
    assert picture.marks
    assert all(LEFT <= mark.x <= WIDTH - RIGHT and TOP <= mark.y <= BOTTOM for mark in picture.marks)
    assert all(
        box.x >= LEFT and box.x + box.width <= WIDTH and box.y + box.height <= HEIGHT
        for box in picture.slices
    )
    assert all(LEFT <= tick.at <= WIDTH for tick in picture.across)
    assert len(picture.marks) <= 50


def test_higher_is_slower(invented: Any) -> None:
    fast, slow = drawn([invented.exchange(0, latency=0.002), invented.exchange(1, latency=2.0)]).marks
    assert fast.y > slow.y
    assert [tick.text for tick in drawn([invented.exchange(0, latency=0.5)]).up] == ["100 ms", "1 s"]


def test_a_window_is_cut_to_the_picture(invented: Any) -> None:
    window = {"kind": "abort", "target": "x", "injected": invented.T0 - 100, "recovered": 0.0}
    (band,) = drawn(invented.traffic(20), [window]).bands
    assert (band.x, band.x + band.width) == (LEFT, WIDTH - RIGHT)


def test_failing_exchanges_are_all_drawn(invented: Any) -> None:
    sent = [invented.exchange(n, status=503, backend=None) for n in range(200)]
    picture = drawn(sent, titled=20, dotted=500)
    assert len(picture.marks) == 20
    (cloud,) = picture.clouds
    assert cloud.style == "mark server-error"
    assert cloud.path.count("M") == 180


def test_one_failure_among_thousands_is_seen_in_the_strip(invented: Any) -> None:
    sent = [invented.exchange(n, status=503 if n == 100 else 200) for n in range(5000)]
    (box,) = [box for box in drawn(sent).slices if box.style == "server-error"]
    assert box.height >= 3


def test_colours_go_by_name_and_the_rest_share_the_last() -> None:
    found = palette(dict.fromkeys(("b", "a", "", "c", "d", "e", "f", "g"), 1))
    assert found == {"a": "b0", "b": "b1", "c": "b2", "d": "b3", "e": "b4", "f": "b5", "g": "b5", "": "bx"}


def test_changes_are_lines_at_their_moment(invented: Any) -> None:
    sent = invented.traffic(20)
    table = pack(sent)
    changes: list[Any] = [
        {"what": "apply A default/a", "made": invented.T0 + 0.1, "held": "the control plane is down"},
        {"what": "delete A default/a", "made": 0.0},
    ]
    picture = timeline(unpack(table), [], table["summary"]["strip"], titled=50, dotted=100, changes=changes)
    (rule,) = picture.rules
    assert LEFT <= rule.x <= WIDTH - RIGHT
    assert (rule.label, rule.title) == (
        "apply A default/a",
        "apply A default/a, +0.100 s, the control plane is down",
    )
