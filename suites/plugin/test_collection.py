"""Scenario files as pytest items: names, marks, lines, selection. Nothing is started for any of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["pytester"]

PYTHON = """\
import pytest

def test_plain():
    pass

def test_with_a_mesh(mesh):
    pass

@pytest.mark.mesh("manifests/")
def test_with_a_marker(mesh):
    pass
"""
MATRIX = "matrix: {status: [200, 404]}"


@pytest.fixture
def collected(pytester: pytest.Pytester, make_scenario: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs pytest in a folder with scenarios and Python tests, where starting a pod would be an error."""
    monkeypatch.setenv("MESHTEST_ENVOY", "/nonexistent")
    write(pytester.path, make_scenario)

    def run(*arguments: str) -> pytest.RunResult:
        return pytester.runpytest_subprocess("--collect-only", "-q", "-p", "no:hypothesispytest", *arguments)

    return run


def write(folder: Path, make_scenario: Any) -> None:
    expanded = make_scenario("matrix", expect='status: "${status}"', more=MATRIX)
    text = f"{make_scenario('first')}---\n{expanded}"
    (folder / "routes.mesh.yaml").write_text(text)
    (folder / "other.mesh.yml").write_text(make_scenario("other"))
    (folder / "manifest.yaml").write_text("apiVersion: v1\nkind: Service\nmetadata: {name: a}\n")
    (folder / "test_them.py").write_text(PYTHON)


SCENARIOS = [
    "other.mesh.yml::other",
    "routes.mesh.yaml::first",
    "routes.mesh.yaml::matrix?200?",
    "routes.mesh.yaml::matrix?404?",
]
TESTS = ["test_them.py::test_with_a_mesh", "test_them.py::test_with_a_marker"]


def names(run: pytest.RunResult) -> list[str]:
    return [line for line in run.outlines if "::" in line]


def test_scenarios_are_items_and_other_yaml_is_not(collected: Any) -> None:
    run = collected()
    run.stdout.fnmatch_lines([*SCENARIOS, "test_them.py::test_plain", *TESTS])
    assert len(names(run)) == 7
    assert run.ret == 0


def test_the_marker_selects_scenarios_and_tests_with_the_fixture(collected: Any) -> None:
    run = collected("-m", "mesh")
    run.stdout.fnmatch_lines([*SCENARIOS, *TESTS])
    assert len(names(run)) == 6


def test_the_marker_leaves_the_others(collected: Any) -> None:
    assert names(collected("-m", "not mesh")) == ["test_them.py::test_plain"]


def test_a_keyword_selects_by_name(collected: Any) -> None:
    assert names(collected("-k", "first or 404")) == [
        "routes.mesh.yaml::first",
        "routes.mesh.yaml::matrix[404]",
    ]


def test_an_id_selects_one_line_of_a_matrix(collected: Any) -> None:
    assert names(collected("routes.mesh.yaml::matrix[200]")) == ["routes.mesh.yaml::matrix[200]"]


def test_the_marker_is_registered(pytester: pytest.Pytester) -> None:
    pytester.runpytest_subprocess("--markers").stdout.fnmatch_lines(
        ["@pytest.mark.mesh(*): a test on a live mesh*"]
    )


def test_strict_markers_know_it(collected: Any) -> None:
    assert collected("--strict-markers", "-W", "error").ret == 0


LOCATIONS = """\
def pytest_collection_modifyitems(items):
    for item in items:
        path, line, name = item.reportinfo()
        print(f"at {path.name}:{line + 1} {name} {item.location[1] + 1}")
"""


def test_items_know_their_lines(collected: Any, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(LOCATIONS)
    run = collected("-s")
    run.stdout.fnmatch_lines(
        [
            "at other.mesh.yml:1 other 1",
            "at routes.mesh.yaml:1 first 1",
            "at routes.mesh.yaml:12 matrix?200? 12",
        ]
    )
