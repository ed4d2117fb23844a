from __future__ import annotations

import json
import platform
from typing import Any

from meshtest.errors import Location
from meshtest.report.results import check, complete, counts, fault, merge, result, run
from meshtest.traffic.record import FaultWindow


def test_a_verdict_nobody_knows_is_unknown_and_never_a_pass() -> None:
    assert complete({"id": "a", "verdict": "passed?"})["verdict"] == "unknown"
    assert complete({"id": "a"})["verdict"] == "unknown"


def test_an_id_alone_gives_name_and_file() -> None:
    found = result(id="suites/a.mesh.yaml::retry[eu]", verdict="pass")
    assert (found["name"], found["file"]) == ("retry[eu]", "suites/a.mesh.yaml")


def test_a_check_brings_its_location() -> None:
    found = check(
        {"name": "mtls", "verdict": "fail", "evidence": ("1",), "location": Location(file="a.yaml", line=3)}
    )
    assert (found["file"], found["line"], found["evidence"]) == ("a.yaml", 3, ["1"])
    assert check({"name": "mtls"})["verdict"] == "unknown"


def test_a_fault_window_becomes_its_entry() -> None:
    window = FaultWindow(
        id="f1",
        kind="abort",
        target="a/b",
        placement="inbound",
        injected=1.0,
        leaving=1.5,
        recovered=2.0,
        hits=3,
        marked=4,
    )
    assert fault(window)["hits"] == 3
    assert (fault(window)["in_force"], fault(window)["leaving"]) == (1.0, 1.5)
    assert fault(window)["recovered"] == 2.0


def test_results_of_several_workers_are_joined_in_order_of_file_and_line() -> None:
    first = [result(id="b::x", verdict="pass", line=9), result(id="b::y", verdict="fail", line=2)]
    second = [result(id="a::z", verdict="unknown")]
    sent: list[dict[str, Any]] = json.loads(json.dumps([*first, *second]))
    assert [one["id"] for one in merge(sent)] == ["a::z", "b::y", "b::x"]


def test_a_rerun_does_not_hide_what_was_before() -> None:
    again = [result(id="a::z", verdict=verdict) for verdict in ("fail", "unknown", "pass")]
    (found,) = merge(again)
    assert found["verdict"] == "pass"
    assert found["earlier"] == ["fail", "unknown"]
    assert [one["earlier"] for one in again] == [[], [], []]


def test_counts_always_tell_of_pass_fail_and_unknown() -> None:
    assert counts([]) == {"fail": 0, "unknown": 0, "pass": 0}
    assert counts([result(id="a", verdict="error")]) == {"fail": 0, "error": 1, "unknown": 0, "pass": 0}


def test_a_run_does_not_name_the_machine() -> None:
    facts = json.dumps(run(seed=1))
    assert platform.node() not in facts
    assert platform.system() in facts
