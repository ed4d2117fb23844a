"""The comparison of two journals, `ci/compare.py`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ci.compare import main

if TYPE_CHECKING:
    from pathlib import Path

SAME = {"a": "pass", "b": "unknown"}


def journal(folder: Path, verdicts: dict[str, str]) -> str:
    (folder / "journal").mkdir(parents=True)
    for name, verdict in verdicts.items():
        (folder / "journal" / f"{name}.json").write_text(json.dumps({"id": name, "verdict": verdict}))
    return str(folder)


@pytest.mark.parametrize(
    ("first", "second", "part", "code", "said"),
    [
        (SAME, SAME, False, 0, ["2 and 2 verdicts, 0 differ"]),
        (SAME, SAME, True, 0, []),
        (SAME, {"a": "pass"}, True, 0, []),
        (
            SAME,
            {"a": "pass"},
            False,
            1,
            ["b: unknown in FIRST, not run in SECOND", "2 and 1 verdicts, 1 differ"],
        ),
        ({"a": "skipped"}, {"a": "pass"}, False, 0, ["1 and 1 verdicts, 0 differ"]),
        (
            {"a": "skipped"},
            {"a": "fail"},
            False,
            1,
            ["a: skipped in FIRST, fail in SECOND", "1 and 1 verdicts, 1 differ"],
        ),
        (SAME, {"a": "fail"}, True, 1, ["a: pass in FIRST, fail in SECOND", "2 and 1 verdicts, 1 differ"]),
        ({}, {"a": "pass"}, True, 1, ["a: not run in FIRST, pass in SECOND", "0 and 1 verdicts, 1 differ"]),
        (SAME, {}, True, 1, ["2 and 0 verdicts, 0 differ"]),
    ],
    ids=[
        "same",
        "same, part",
        "part",
        "not run",
        "skipped",
        "skipped, fails",
        "other verdict",
        "only there",
        "nothing ran",
    ],
)
def test_verdicts_are_compared(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    first: dict[str, str],
    second: dict[str, str],
    part: bool,  # noqa: FBT001 - a parameter of the test
    code: int,
    said: list[str],
) -> None:
    one, other = journal(tmp_path / "one", first), journal(tmp_path / "two", second)
    assert main(one, other, part=part) == code
    text = capsys.readouterr().out.replace(one, "FIRST").replace(other, "SECOND")
    assert text.splitlines() == said
