from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from meshtest.report.gathering import Gathering

if TYPE_CHECKING:
    from pathlib import Path


def read(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return facts


def test_each_result_is_on_disk_at_once(tmp_path: Path) -> None:
    Gathering(tmp_path, {}).add({"id": "a::b", "name": "b", "verdict": "pass"})
    (path,) = (tmp_path / "journal").glob("*.json")
    assert json.loads(path.read_text())["verdict"] == "pass"


def test_the_last_result_of_a_test_counts_and_names_the_earlier(tmp_path: Path) -> None:
    gathering = Gathering(tmp_path, {})
    for verdict in ("fail", "unknown", "pass"):
        gathering.add({"id": "a::b", "verdict": verdict})
    gathering.finish()
    assert [(one["verdict"], one["earlier"]) for one in gathering.results] == [("pass", ["fail", "unknown"])]
    assert read(tmp_path)["counts"] == {"fail": 0, "unknown": 0, "pass": 1}


def test_the_run_tells_what_all_results_agree_on(tmp_path: Path) -> None:
    gathering = Gathering(tmp_path, {})
    gathering.add({"id": "a::b", "verdict": "pass", "seed": 3, "runtime": "netns"})
    gathering.add({"id": "a::c", "verdict": "pass", "seed": 4, "runtime": "netns"})
    assert gathering.finish() == tmp_path / "index.html"
    facts = read(tmp_path)
    assert facts["runtime"] == "netns"
    assert "seed" not in facts
