from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from meshtest.report.allure import publish

pytest.importorskip("allure_pytest")
TEST = """
import json, pathlib
from meshtest.report.allure import publish

def test_of_a_mesh():
    publish(json.loads(pathlib.Path("result.json").read_text()))
    assert RIGHT
"""


@pytest.fixture
def results(tmp_path: Path) -> Any:
    """Runs a tiny suite that publishes one result, with or without Allure, and reads what Allure wrote."""

    def run(one: Any, *options: str, right: bool = True) -> tuple[int, list[dict[str, Any]]]:
        (tmp_path / "result.json").write_text(json.dumps(one))
        (tmp_path / "test_it.py").write_text(TEST.replace("RIGHT", str(right)))
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-W",
            "error",
            *options,
            "test_it.py",
        ]
        root = Path(__file__).parents[3]
        environment = {"PYTHONPATH": str(root), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PATH": ""}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode in (0, 1), done.stdout + done.stderr
        return done.returncode, [json.loads(path.read_text()) for path in tmp_path.glob("out/*-result.json")]

    return run


ALLURE = ("-p", "allure_pytest.plugin", "--alluredir=out")


def test_publishes_labels_steps_and_attachments(results: Any, tmp_path: Path, invented: Any) -> None:
    steps = [{"name": "policies", "status": "passed", "start": 1.0, "stop": 1.5}]
    code, (found,) = results({**invented.failed(number=30), "steps": steps}, *ALLURE)
    assert (code, found["status"]) == (0, "passed")
    labels = {one["name"]: one["value"] for one in found["labels"]}
    assert (labels["feature"], labels["severity"]) == ("retries", "critical")
    assert {"name": "seed", "value": "42", "excluded": True} in found["parameters"]
    assert [(one["name"].partition(":")[0], one["status"]) for one in found["steps"]] == [
        ("policies (0.50 s)", "passed"), ("fail", "failed"), ("pass", "passed"), ("unknown", "broken"),
    ]  # fmt: skip
    attached = {one["name"]: one for one in found["attachments"]}
    assert set(attached) == {"VirtualService default/ratings", "fault plan", "history"}
    history = json.loads((tmp_path / "out" / attached["history"]["source"]).read_text())
    assert history["total"] == 30


def test_the_status_of_the_test_stays_pytests(results: Any, invented: Any) -> None:
    code, (found,) = results(invented.scenario(), *ALLURE, right=False)
    assert (code, found["status"]) == (1, "failed")


@pytest.mark.parametrize("options", [(), ALLURE[:2]], ids=["not-loaded", "no-alluredir"])
def test_does_nothing_where_allure_does_not_listen(
    results: Any, invented: Any, options: tuple[str, ...]
) -> None:
    assert results(invented.scenario(), *options) == (0, [])


def test_a_severity_that_allure_does_not_know_is_left_out(results: Any, invented: Any) -> None:
    _, (found,) = results(invented.scenario(labels={"severity": "dire", "owner": "mesh"}), *ALLURE)
    labels = {one["name"]: one["value"] for one in found["labels"]}
    assert "severity" not in labels
    assert labels["owner"] == "mesh"


def test_publishing_outside_of_any_run_is_harmless() -> None:
    publish({"id": "a", "verdict": "pass"})
