"""One run with every verdict: what the terminal, JUnit, Allure and the journal say of it."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

TWIN = """\
  expectFailure: {check: status, because: "saw 200"}
"""
WRONG_TWIN = """\
  expectFailure: {check: status, because: "saw 500"}
"""
LOST = """\
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
    - route:
        - destination: {host: reviewz}
"""
MISSED = "faults: [{abort: {httpStatus: 503}, to: ratings}]"


@pytest.fixture(scope="module")
def run(shared_project: Any, make_scenario: Any) -> Any:
    parts = [
        make_scenario("passes") + LOST.replace("reviewz", "reviews"),
        make_scenario("fails", expect="status: 404"),
        make_scenario("fault-misses", more=MISSED),
        make_scenario("fails-as-it-must", expect="status: 404") + TWIN,
        make_scenario("fails-otherwise", expect="status: 404") + WRONG_TWIN,
        make_scenario("goes-nowhere", expect="status: 503") + LOST,
    ]
    shared_project.write("all.mesh.yaml", "---\n".join(parts))
    return shared_project.run("--junitxml=junit.xml", "--alluredir=allure", "--mesh-seed=7", "-rA")


def test_the_outcomes_are_those_of_pytest(run: Any) -> None:
    assert run.code == pytest.ExitCode.TESTS_FAILED
    run.has("*3 failed, 3 passed*")
    assert "Traceback" not in run.text


def section(run: Any, name: str) -> list[str]:
    """What stands under the headline of a failed item."""
    text = re.split(rf"^_+ {name} _+$", run.text, flags=re.MULTILINE)[1]
    return [
        line
        for line in re.split(r"^[_=-]{3,} .* [_=-]{3,}$", text, flags=re.MULTILINE)[0].splitlines()
        if line
    ]


def test_a_failure_begins_with_the_verdict_then_evidence_then_source(run: Any) -> None:
    lines = section(run, "fails")
    assert lines[0] == "status: expected 404, saw 200 in 3 of 3 requests"
    evidence = next(i for i, line in enumerate(lines) if line.startswith("exchange "))
    source = next(i for i, line in enumerate(lines) if line.startswith("all.mesh.yaml:"))
    assert 0 < evidence < source
    assert any(re.match(r"> +\d+ \| +- status: 404", line) for line in lines[source:])
    assert lines[-1] == "seed 7, 3 exchanges, scenario fails"


def test_unknown_fails_the_item_and_says_so(run: Any) -> None:
    assert section(run, "fault-misses")[0].endswith("(unknown)")
    assert run.journal["fault-misses"]["verdict"] == "unknown"


def test_a_twin_must_fail_for_its_reason(run: Any) -> None:
    run.has("PASSED all.mesh.yaml::fails-as-it-must*")
    assert run.journal["fails-as-it-must"]["verdict"] == "pass"
    assert run.journal["fails-otherwise"]["verdict"] == "fail"
    assert "saw 500" in "\n".join(section(run, "fails-otherwise"))


def test_the_terminal_sums_up(run: Any) -> None:
    run.has(
        "*- mesh -*",
        "mesh: 3 passed, 2 failed, 1 unknown; report: reports/index.html",
        "  FAIL     fails: status: expected 404, saw 200 in 3 of 3 requests",
        "  UNKNOWN  fault-misses: *(unknown)",
    )


def test_what_istioctl_analyze_says_is_shown_with_its_line(run: Any) -> None:
    (line,) = {line for line in run.text.splitlines() if "IST0101" in line}
    number, _, text = line.removeprefix("all.mesh.yaml:").partition(": ")
    written = (run.folder / "all.mesh.yaml").read_text().splitlines()
    assert "reviewz" in written[int(number) - 1]
    assert text == 'warning [IST0101]: VirtualService default/reviews: Referenced host not found: "reviewz"'


def test_the_report_names_it_too(run: Any) -> None:
    (message,) = [one for one in run.journal["goes-nowhere"]["messages"] if one["code"] == "IST0101"]
    assert message["file"] == "all.mesh.yaml"
    assert "reviewz" in message["text"]
    assert not [one for one in run.journal["passes"]["messages"] if one["code"] == "IST0101"]


def test_the_seed_is_in_the_report(run: Any) -> None:
    assert {entry["seed"] for entry in run.journal.values()} == {7}
    facts = json.loads((run.folder / "reports" / "run.json").read_text())
    assert facts["seed"] == 7
    assert facts["finished"] is True
    assert facts["counts"] == {"fail": 2, "unknown": 1, "pass": 3}


def test_the_page_is_there(run: Any) -> None:
    page = (run.folder / "reports" / "index.html").read_text()
    assert all(name in page for name in run.journal)


def test_junit_knows_every_scenario(run: Any) -> None:
    cases = {case.get("name"): case for case in ET.parse(run.folder / "junit.xml").iter("testcase")}  # noqa: S314 - our own file
    assert sorted(map(str, cases)) == sorted(run.journal)
    failure = cases["fails"].find("failure")
    assert failure is not None
    assert str(failure.text).startswith("status: expected 404, saw 200 in 3 of 3 requests")
    assert {name for name, case in cases.items() if case.find("failure") is not None} == {
        "fails",
        "fails-otherwise",
        "fault-misses",
    }


@pytest.fixture(scope="module")
def allure(run: Any) -> dict[str, Any]:
    results = [json.loads(path.read_text()) for path in (run.folder / "allure").glob("*-result.json")]
    return {one["name"]: one for one in results}


def test_allure_has_status_description_and_labels(run: Any, allure: dict[str, Any]) -> None:
    assert sorted(allure) == sorted(run.journal)
    assert allure["passes"]["status"] == "passed"
    assert allure["fails"]["status"] == "failed"
    assert allure["passes"]["description"] == "Reviews answers."
    labels = {label["name"]: label["value"] for label in allure["passes"]["labels"]}
    assert (labels["feature"], labels["severity"]) == ("reviews", "critical")


def test_allure_has_steps_and_checks(allure: dict[str, Any]) -> None:
    steps = {step["name"].partition(" (")[0]: step["status"] for step in allure["fails"]["steps"]}
    assert {"mesh", "policies", "traffic", "checks"} <= set(steps)
    (check,) = [status for name, status in steps.items() if "status" in name]
    assert check == "failed"


def test_allure_has_attachments_that_exist(run: Any, allure: dict[str, Any]) -> None:
    found = {
        one["name"]: run.folder / "allure" / one["source"] for one in allure["goes-nowhere"]["attachments"]
    }
    history = json.loads(found["history"].read_text())
    assert history["total"] == 3
    assert policy_of(found).read_text().startswith("apiVersion: networking.istio.io/v1")


def policy_of(found: dict[str, Path]) -> Path:
    return next(path for name, path in found.items() if name.startswith("VirtualService"))
