"""Options and ini keys; what has no meaning is a UsageError."""

from __future__ import annotations

from typing import Any

import pytest

pytest_plugins = ["pytester"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mesh-runtime", "podman"], "ERROR: --mesh-runtime podman: expected auto, netns, docker"),
        (["--mesh-seed", "-1"], "ERROR: --mesh-seed -1: expected a whole number"),
        (["--mesh-seed", "many"], "ERROR: --mesh-seed many: expected a whole number"),
        (["--mesh-keep", "-n2"], "ERROR: --mesh-keep waits at the terminal*: drop -n"),
    ],
    ids=["runtime", "negative-seed", "seed", "keep-with-workers"],
)
def test_an_option_without_meaning_is_a_usage_error(
    pytester: pytest.Pytester, arguments: list[str], message: str
) -> None:
    run = pytester.runpytest_subprocess(*arguments)
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines([message])
    assert "Traceback" not in run.stderr.str()


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("mesh_runtime = podman", "ERROR: --mesh-runtime podman: expected auto, netns, docker"),
        ("mesh_seed = many", "ERROR: --mesh-seed many: expected a whole number"),
    ],
    ids=["runtime", "seed"],
)
def test_ini_keys_are_checked_as_options_are(pytester: pytest.Pytester, key: str, message: str) -> None:
    pytester.makeini(f"[pytest]\n{key}\n")
    run = pytester.runpytest_subprocess()
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines([message])


def test_every_option_is_in_the_help(pytester: pytest.Pytester) -> None:
    run = pytester.runpytest_subprocess("--help")
    options = [
        "--mesh-runtime=NAME",
        "--mesh-report=DIR",
        "--mesh-seed=N",
        "--mesh-keep",
        "--mesh-allow-unsupported",
    ]
    run.stdout.fnmatch_lines([f"*{option}*" for option in options])
    keys = [
        "mesh_runtime",
        "mesh_report",
        "mesh_seed",
        "mesh_keep",
        "mesh_allow_unsupported",
        "mesh_manifests",
    ]
    run.stdout.fnmatch_lines([f"*{key} (*" for key in keys])


def test_unsupported_kinds_can_be_allowed(project: Any, make_scenario: Any) -> None:
    widget = "---\napiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\n"
    project.write("a.mesh.yaml", make_scenario("a") + widget)
    assert project.run("--collect-only").code == pytest.ExitCode.INTERRUPTED
    assert project.run("--collect-only", "--mesh-allow-unsupported").code == pytest.ExitCode.OK


def test_a_runtime_that_is_not_there_is_told_without_traceback(project: Any, make_scenario: Any) -> None:
    project.write("a.mesh.yaml", make_scenario("a"))
    run = project.run("--mesh-runtime", "docker", DOCKER_HOST="tcp://127.0.0.1:1")
    assert run.code == pytest.ExitCode.TESTS_FAILED
    assert "Traceback" not in run.text
    assert run.journal["a"]["verdict"] == "error"
    assert "docker" in run.journal["a"]["reason"].lower()


def test_a_conftest_may_choose_the_runtime(project: Any, make_scenario: Any) -> None:
    override = (
        "import pytest\n\n@pytest.fixture(scope='session')\ndef meshtest_runtime():\n    return 'podman'\n"
    )
    project.write("chosen/conftest.py", override)
    project.write("chosen/a.mesh.yaml", make_scenario("a"))
    project.write("b.mesh.yaml", make_scenario("b"))
    run = project.run()
    run.has("no runtime 'podman'; expected auto, netns, docker*")
    assert {name: entry["verdict"] for name, entry in run.journal.items()} == {"a": "error", "b": "pass"}


def test_last_failed_runs_the_scenario_that_failed(project: Any, make_scenario: Any) -> None:
    project.write("a.mesh.yaml", make_scenario("good") + "---\n" + make_scenario("bad", expect="status: 404"))
    project.run()
    run = project.run("--lf")
    run.has("mesh: 1 failed; *")
    assert sorted(run.journal) == ["bad"]
