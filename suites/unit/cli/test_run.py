from __future__ import annotations

import os
import signal
from argparse import Namespace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from meshtest.cli.outcome import status
from meshtest.cli.plan import as_written
from meshtest.cli.run import arguments
from meshtest.errors import Location
from meshtest.waiting import wait_until
from suites.unit.cli.conftest import RETRIES

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from suites.unit.cli.conftest import Said

SCENARIO = """\
apiVersion: meshtest.dev/v1
kind: Scenario
metadata: {{name: {name}}}
spec:
  description: A shop without stock.
  manifests: [k8s]
  traffic: {{from: web, request: "http://stock:8080/", requests: {requests}}}
  faults:
    - abort: {{httpStatus: 503}}
      to: stock
      percentage: {percentage}      # of them
  expect:
    - {expect}
---
"""


def write(
    folder: Path,
    name: str,
    expect: str = "status: 503",
    *,
    requests: int = 4,
    percentage: int = 100,
    policy: str = "",
) -> None:
    text = SCENARIO.format(name=name, expect=expect, requests=requests, percentage=percentage)
    (folder / f"{name}.mesh.yaml").write_text(text + policy)


def options(**changes: Any) -> Namespace:
    given: dict[str, Any] = {
        "paths": [],
        "expression": None,
        "runtime": None,
        "report": None,
        "seed": None,
        "rest": [],
    }
    return Namespace(**{**given, "allow_unsupported": False, "dry_run": False, **changes})


def test_pytest_is_told_what_the_options_say() -> None:
    found = arguments(
        options(paths=["a", "b"], expression="x", runtime="netns", report="r", seed="7", rest=["-n2"])
    )
    assert found == [
        *("-m", "mesh", "-p", "meshtest.cli.outcome", "-k", "x"),
        *("--mesh-runtime", "netns", "--mesh-report", "r", "--mesh-seed", "7", "a", "b", "-n2"),
    ]


@pytest.mark.parametrize(
    ("own", "verdicts", "wanted"),
    [
        (0, [], 0),
        (1, ["fail", "unknown"], 1),
        (1, ["unknown"], 2),
        (1, ["error"], 1),
        (1, [], 1),
        (5, [], 5),
        (3, ["unknown"], 3),
    ],
)
def test_unknown_alone_is_status_2(own: int, verdicts: list[str], wanted: int) -> None:
    assert status(own, verdicts) == wanted


@pytest.mark.usefixtures("engine", "shop")
def test_a_dry_run_says_what_would_be_done(process: Callable[..., Said], shop: Path) -> None:
    write(shop, "empty", policy=RETRIES)
    said = process("run", "--dry-run", ".")
    assert said.status == 0
    lines = [line.rstrip() for line in said.out.splitlines()]
    assert lines[0] == "empty (empty.mesh.yaml:1)"
    assert "  mesh      k8s: 2 pods, 2 Envoys, 2 services" in lines
    assert "  policy    VirtualService default/stock (empty.mesh.yaml:15)" in lines
    assert any(
        line.startswith("  traffic   4 x GET http://stock:8080/ from default/web-0 (spiffe://")
        for line in lines
    )
    assert "  fault     abort: {httpStatus: 503} to: stock percentage: 100" in lines
    assert any(line.lstrip().startswith("placed: inbound side of default/stock") for line in lines)
    assert "  expect    status: 503" in lines


@pytest.mark.usefixtures("engine", "shop")
def test_a_dry_run_says_what_would_be_changed_and_when(process: Callable[..., Said], shop: Path) -> None:
    write(shop, "empty")
    path = shop / "empty.mesh.yaml"
    path.write_text(
        path.read_text().replace(
            "  expect:", "  changes: [{delete: Service/stock}, {at: 0s, apply: again.yaml}]\n  expect:"
        )
    )
    (shop / "again.yaml").write_text(
        "{apiVersion: v1, kind: Service, metadata: {name: stock}, spec: {ports: [{port: 1}]}}"
    )
    said = process("run", "--dry-run", ".")
    assert said.status == 0, said.out
    lines = [line.rstrip() for line in said.out.splitlines()]
    place = lines.index("  change    delete Service default/stock")
    assert lines[place + 1 : place + 4] == [
        "            when: before the first request, once the faults without a time are in force",
        "  change    apply Service default/stock",
        "            when: at 0 s of the traffic",
    ]


@pytest.mark.usefixtures("engine")
def test_a_dry_run_obeys_k(process: Callable[..., Said], shop: Path) -> None:
    write(shop, "one")
    write(shop, "two")
    said = process("run", "--dry-run", "-k", "two", ".")
    assert "two (two.mesh.yaml:1)" in said.out
    assert "one (one.mesh.yaml:1)" not in said.out


@pytest.mark.usefixtures("engine")
def test_a_dry_run_of_a_wrong_file_tells_why(process: Callable[..., Said], shop: Path) -> None:
    write(shop, "one", "statu: 503")
    said = process("run", "--dry-run", ".")
    assert said.status == 2
    assert "did you mean 'status'?" in said.out


def test_nothing_to_run_is_status_5(process: Callable[..., Said], here: Path) -> None:
    (here / "test_other.py").write_text("def test_other(): pass\n")
    said = process("run", ".")
    assert said.status == 5
    assert "meshtest: no *.mesh.yaml and no test with the `mesh` fixture is here to run" in said.out


@pytest.mark.usefixtures("pods")
def test_a_pass_is_0_and_a_fail_is_1(process: Callable[..., Said], shop: Path) -> None:
    write(shop, "good")
    write(shop, "bad", "status: 200")
    said = process("run", ".", "-k", "good", "--report", "out", "--seed", "5", "--", "-q")
    assert said.status == 0, said.out
    assert (shop / "out" / "index.html").is_file()
    assert process("run", "bad.mesh.yaml").status == 1


@pytest.mark.usefixtures("pods")
def test_unknown_is_2(process: Callable[..., Said], shop: Path) -> None:
    write(shop, "nobody-was-hit", "successRate: {atLeast: 50%}\n      where: {status: 418}")
    said = process("run", ".")
    assert said.status == 2, said.out
    assert "1 unknown" in said.out


def test_ctrl_c_is_130(here: Path, start: Callable[..., subprocess.Popen[str]]) -> None:
    (here / "test_slow.py").write_text(
        "import pathlib, pytest, signal\n"
        "@pytest.mark.mesh\n"
        "def test_slow():\n    pathlib.Path('begun').touch()\n    signal.pause()\n"
    )
    running = start(["run", "."], cwd=here)
    wait_until(
        lambda: (here / "begun").exists() or running.poll() is not None, 60, lambda: "the test has not begun"
    )
    os.kill(running.pid, signal.SIGINT)
    out, err = running.communicate(timeout=30)
    assert running.returncode == 130, out + err
    assert "Traceback" not in err


def test_values_of_the_matrix_are_shown_as_they_would_be_written(tmp_path: Path) -> None:
    path = tmp_path / "a.mesh.yaml"
    path.write_text("faults:\n  - stop: ${what}   # which\n    to: a\nexpect:\n")
    scenario = cast("Any", SimpleNamespace(matrix={"what": {"part": "sidecar", "replicas": [1, True]}}))
    shown = as_written(Location(file=str(path), line=2), scenario)
    assert shown == "stop: {part: sidecar, replicas: [1, true]} to: a"
