from __future__ import annotations

from typing import Any

from meshtest.report.results import result
from meshtest.report.terminal import MOST_MESSAGES, message_lines, summary_lines


def test_counts_and_names_what_is_not_well(invented: Any) -> None:
    lines = summary_lines(
        [invented.scenario(), invented.unknown(), invented.failed()], page="reports/index.html"
    )
    assert lines[0] == "mesh: 1 passed, 1 failed, 1 unknown; report: reports/index.html"
    assert lines[1].startswith(
        "  FAIL     outlier-ejection-spares-callers: successRate: expected at least 99 %"
    )
    assert lines[2].startswith("  UNKNOWN  kill-is-survived: no request crossed fault f1")
    assert len(lines) == 3


def test_nothing_ran() -> None:
    assert summary_lines([]) == ["mesh: nothing ran"]


def test_a_reason_stays_on_one_line_and_cannot_speak_to_the_terminal() -> None:
    lines = summary_lines([result(id="a::b", verdict="fail", reason="x\n\x1b]0;owned\x07 y")], width=40)
    assert lines[1] == "  FAIL  b: x \u241b]0;owned\u2407 y"


def test_long_lines_are_cut_to_the_width() -> None:
    (_, line) = summary_lines([result(id="a::b", verdict="unknown", reason="long " * 40)], width=60)
    assert len(line) == 60
    assert line.endswith("…")


def warned(line: int, text: str = "Referenced host not found", level: str = "error") -> Any:
    message: Any = {"level": level, "code": "IST0101", "text": text, "file": "a.mesh.yaml", "line": line}
    return result(id="a::b", verdict="pass", messages=[message])


def test_what_is_warned_of_is_told_once_with_its_line() -> None:
    assert message_lines([warned(4), warned(4), warned(2, "x\ny", "warning"), warned(1, level="info")]) == [
        "a.mesh.yaml:2: warning [IST0101]: x y",
        "a.mesh.yaml:4: warning [IST0101]: Referenced host not found",
    ]


def test_many_warnings_are_left_to_the_report() -> None:
    lines = message_lines([warned(line) for line in range(MOST_MESSAGES + 3)])
    assert len(lines) == MOST_MESSAGES + 1
    assert lines[-1] == "3 more warnings are in the report"
