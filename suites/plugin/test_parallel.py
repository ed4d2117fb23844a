"""Under pytest-xdist each worker has its own mesh, and the controller writes one report."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("xdist")

CRASH = """\
import os, pytest

@pytest.mark.mesh({bookinfo!r})
def test_first(mesh):
    assert mesh.request("productpage-v1", "http://reviews:9080/").status == 200

@pytest.mark.mesh({bookinfo!r})
def test_second(mesh):
    os._exit(3)
"""


@pytest.fixture(scope="module")
def run(shared_project: Any, make_scenario: Any) -> Any:
    for number in (1, 2):
        text = (
            make_scenario(f"first-{number}")
            + "---\n"
            + make_scenario(f"second-{number}", expect="status: 404")
        )
        shared_project.write(f"s{number}.mesh.yaml", text)
    return shared_project.run("-n2", "--dist=loadfile", "-rA", "-v")


def test_the_outcomes_are_those_of_one_process(run: Any) -> None:
    assert run.code == pytest.ExitCode.TESTS_FAILED
    run.has("*2 failed, 2 passed*")


def test_each_file_ran_on_its_own_worker(run: Any) -> None:
    workers = {
        line.split("]")[0] for line in run.text.splitlines() if line.startswith("[gw") and "mesh.yaml" in line
    }
    assert workers == {"[gw0", "[gw1"}


def test_there_is_one_report_of_both(run: Any) -> None:
    assert sorted(run.journal) == ["first-1", "first-2", "second-1", "second-2"]
    facts = json.loads((run.folder / "reports" / "run.json").read_text())
    assert facts["counts"] == {"fail": 2, "unknown": 0, "pass": 2}
    run.has("mesh: 2 passed, 2 failed; report: reports/index.html")


def test_the_workers_share_a_seed(run: Any) -> None:
    assert len({entry["seed"] for entry in run.journal.values()}) == 1


def test_what_finished_before_a_worker_crashed_is_kept(
    project: Any, make_scenario: Any, bookinfo: Any
) -> None:
    project.write("a.mesh.yaml", make_scenario("calm"))
    project.write("test_crash.py", CRASH.format(bookinfo=str(bookinfo)))
    run = project.run("-n2", "--dist=loadfile", "--max-worker-restart=0")
    assert run.code != 0
    assert run.journal["calm"]["verdict"] == "pass"
    assert run.journal["test_first"]["verdict"] == "pass"
    assert (run.folder / "reports" / "index.html").is_file()


RAW = """\
import pytest

@pytest.mark.mesh({bookinfo!r})
def test_raw(mesh):
    assert mesh.request("productpage-v1", b"http://reviews:9080/\\xff").status is not None
"""


def test_a_path_that_is_no_text_is_carried_over(project: Any, bookinfo: Any) -> None:
    project.write("test_raw.py", RAW.format(bookinfo=str(bookinfo)))
    run = project.run("-n1")
    assert run.code == 0, run.text
    assert r"/\\xff" in json.dumps(run.journal["test_raw"])


DIES = """\
import os, pytest

@pytest.fixture
def meshtest_runtime():
    os._exit(3)
"""


def test_a_scenario_whose_worker_died_is_an_error(project: Any, make_scenario: Any) -> None:
    project.write("conftest.py", DIES)
    project.write("a.mesh.yaml", make_scenario("lost"))
    run = project.run("-n1", "--max-worker-restart=0")
    assert run.journal["lost"]["verdict"] == "error"
    assert "crashed" in run.journal["lost"]["reason"]
