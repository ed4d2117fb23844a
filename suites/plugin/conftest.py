"""Projects that use meshtest as a plugin, run by a pytest of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.istiod.binary import find_or_build

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[2]
BOOKINFO = ROOT / "fixtures" / "bookinfo"
LIMIT = 120.0
"""Seconds that a run may take at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A pytest that ended."""

    code: int
    text: str
    folder: Path

    @property
    def lines(self) -> pytest.LineMatcher:
        """What it printed."""
        return pytest.LineMatcher(self.text.splitlines())

    def has(self, *patterns: str) -> None:
        """Assert that these lines stand there, in this order."""
        self.lines.fnmatch_lines(list(patterns))

    @property
    def journal(self) -> dict[str, dict[str, Any]]:
        """The results in its report by their names."""
        files = (self.folder / "reports" / "journal").glob("*.json")
        entries = [json.loads(path.read_text()) for path in files]
        return {entry["name"]: entry for entry in entries}


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A folder with scenarios and tests."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, text: str) -> Path:
        """A file of the project."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def command(self, *arguments: str) -> list[str]:
        """The command line of a run."""
        return [sys.executable, "-P", "-m", "pytest", "-p", "no:hypothesispytest", *arguments]

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """The environment of a run, without what the outer pytest put there."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        return {**ours, **self.env, **env}

    def run(self, *arguments: str, **env: str) -> Run:
        """Run pytest in the project to its end."""
        ended = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        return Run(code=ended.returncode, text=ended.stdout, folder=self.folder)


def scenario(name: str = "works", *, expect: str = "status: 200", more: str = "", requests: int = 3) -> str:
    """A scenario that asks for reviews; `more` are further keys of its spec."""
    return f"""\
apiVersion: meshtest.dev/v1
kind: Scenario
metadata: {{name: {name}, labels: {{feature: reviews, severity: critical}}}}
spec:
  description: Reviews answers.
  manifests: [{BOOKINFO}]
  traffic: {{from: productpage-v1, request: {{url: "http://reviews:9080/reviews/0"}}, requests: {requests}}}
  {more or "# nothing more"}
  expect:
    - {expect}
"""


@pytest.fixture(scope="session", autouse=True)
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What all runs share: the engine, which one with a HOME of its own would not find, and compiled modules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MESHTEST_ISTIOD", str(find_or_build(print)))
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.mktemp("compiled")))
        yield


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project."""
    return Project(folder=tmp_path)


@pytest.fixture(scope="module")
def shared_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that all tests of a module look at."""
    return Project(folder=tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def make_scenario() -> Any:
    """The text of a scenario: see `scenario`."""
    return scenario


@pytest.fixture(scope="session")
def bookinfo() -> Path:
    """The manifests of Bookinfo that ship with the project."""
    return BOOKINFO
