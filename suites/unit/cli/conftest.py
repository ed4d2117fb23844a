"""A small shop, and the command line: in this process where nothing speaks against it, else in one of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshtest.cli import main
from meshtest.istiod.binary import find_or_build
from meshtest.runtime.netns.runtime import NetnsRuntime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PROGRAM = "import sys; from meshtest.cli import main; sys.exit(main())"
ROOT = Path(__file__).parents[3]


def _workload(name: str) -> str:
    return f"""\
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  selector: {{app: {name}}}
  ports: [{{name: http, port: 8080}}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: {name}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      serviceAccountName: {name}
      containers: [{{name: app, image: app, ports: [{{containerPort: 8080}}]}}]
---
"""


SHOP = _workload("web") + _workload("stock")
RETRIES = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: stock}
spec:
  hosts: [stock]
  http: [{route: [{destination: {host: stock}}], retries: {attempts: 7, retryOn: 5xx}}]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command line came to."""

    status: int
    out: str
    err: str


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def shop(here: Path) -> Path:
    """The current folder, with the manifests of the shop in `k8s`."""
    (here / "k8s").mkdir()
    (here / "k8s" / "shop.yaml").write_text(SHOP)
    return here


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run a command line in this process."""

    def said(*words: str) -> Said:
        capfd.readouterr()
        status = main(list(words))
        return Said(status=status, out=(found := capfd.readouterr()).out, err=found.err)

    return said


def environment(**changes: str) -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, **changes}


@pytest.fixture
def process() -> Callable[..., Said]:
    """Run a command line in a process of its own."""

    def said(*words: str, stdin: str = "", env: dict[str, str] | None = None) -> Said:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=environment(**(env or {})),
        )
        return Said(status=done.returncode, out=done.stdout, err=done.stderr)

    return said


@pytest.fixture(scope="session")
def engine() -> Path:
    """The engine's binary, there before a test waits for it."""
    return find_or_build(print)


@pytest.fixture(scope="session")
def pods(engine: Path) -> None:
    """Tests that start pods need a machine that lets them."""
    assert engine.is_file()
    problem = NetnsRuntime().missing()
    if problem is not None:
        pytest.skip(problem)


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a command line that goes on while the test does; it has ended when the test has."""
    with contextlib.ExitStack() as stack:

        def started(words: Sequence[str], *, cwd: Path) -> subprocess.Popen[str]:
            running = subprocess.Popen(
                [sys.executable, "-u", "-c", PROGRAM, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=cwd,
                env=environment(),
            )
            stack.enter_context(running)
            stack.callback(running.terminate)
            return running

        yield started
