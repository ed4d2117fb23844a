"""The oldest pytest that is promised; needs the network and minutes, so only where MESHTEST_OLDEST=1 asks for it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[2]
OLDEST = "8.0.0"

pytestmark = pytest.mark.skipif(
    os.environ.get("MESHTEST_OLDEST") != "1",
    reason="MESHTEST_OLDEST=1 makes an environment with the oldest pytest and runs this in it",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Venv:
    """A virtual environment."""

    python: Path

    def run(self, *arguments: str, cwd: Path = ROOT) -> str:
        """What Python prints; what runs in it makes no environment of its own."""
        env = {name: value for name, value in os.environ.items() if name != "MESHTEST_OLDEST"}
        done = subprocess.run(
            [self.python, *arguments],
            cwd=cwd,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return f"{done.stdout}\nexit {done.returncode}"


@pytest.fixture(scope="module")
def oldest(tmp_path_factory: pytest.TempPathFactory) -> Venv:
    folder = tmp_path_factory.mktemp("oldest")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    venv = Venv(python=folder / "bin" / "python")
    said = venv.run(
        "-m",
        "pip",
        "install",
        "--quiet",
        "-e",
        str(ROOT),
        f"pytest=={OLDEST}",
        "pytest-xdist",
        "allure-pytest",
    )
    assert said.endswith("exit 0"), said
    return venv


@pytest.mark.parametrize("more", [(), ("-n2", "--dist=loadfile")], ids=["one-process", "xdist"])
def test_scenarios_run(oldest: Venv, project: Any, make_scenario: Any, more: Sequence[str]) -> None:
    project.write(
        "a.mesh.yaml", make_scenario("passes") + "---\n" + make_scenario("fails", expect="status: 404")
    )
    said = oldest.run("-P", "-m", "pytest", "-W", "error", "--junitxml=junit.xml", *more, cwd=project.folder)
    lines = pytest.LineMatcher(said.splitlines())
    lines.fnmatch_lines([f"*pytest-{OLDEST}*"])
    lines.fnmatch_lines(
        ["mesh: 1 passed, 1 failed; report: reports/index.html", "*1 failed, 1 passed*", "exit 1"]
    )
    assert "Traceback" not in said


def test_the_plugins_own_tests_pass(oldest: Venv) -> None:
    said = oldest.run("-m", "pytest", "-q", "suites/plugin", "-p", "no:cacheprovider")
    assert said.endswith("exit 0"), said
