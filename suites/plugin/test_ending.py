"""However a run ends, nothing of it stays: no process, no mount, no temporary file, no socket."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONG = """\
import pathlib, pytest

@pytest.mark.mesh({bookinfo!r})
def test_short(mesh):
    pass

@pytest.mark.mesh({bookinfo!r})
def test_long(mesh):
    assert mesh.request("productpage-v1", "http://reviews:9080/").status == 200
    pathlib.Path({ready!r}).touch()
    mesh.send("productpage-v1", "http://reviews:9080/", rate=20, duration=60)
"""
FAULTY = """\
import pathlib, pytest
from meshtest import faults

@pytest.mark.mesh({bookinfo!r})
def test_long(mesh):
    plan = [
        faults.latency(to="ratings", latency=0.01),
        faults.loss(to="details", percentage=5),
        faults.certificate(to="reviews-v3", expired=True),
        faults.dns(to="details", nxdomain=True),
        faults.pause(to="reviews-v1", part="sidecar"),
        faults.stop(to="reviews-v2"),
        faults.control_plane_paused(),
    ]
    with mesh.inject(*plan):
        pathlib.Path({ready!r}).touch()
        mesh.send("productpage-v1", "http://reviews:9080/", rate=20, duration=60)
"""
"""A fault of every family in force, processes that stand still among them."""
START, END = 30.0, 15.0
Processes = dict[int, str]
"""Process id -> its start time: ids come again."""


def stat_of(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def descendants(root: int) -> Processes:
    """Every process below one, across process namespaces."""
    stats = {
        int(path.name): stat_of(int(path.name)) for path in Path("/proc").iterdir() if path.name.isdigit()
    }
    found: Processes = {}
    queue = [root]
    while queue:
        parent = queue.pop()
        below = [pid for pid, fields in stats.items() if fields and int(fields[1]) == parent]
        found |= {pid: stats[pid][19] for pid in below}
        queue += below
    return found


def alive(processes: Processes) -> list[int]:
    """Those that still run; a zombie has ended."""
    return [
        pid
        for pid, start in processes.items()
        if (fields := stat_of(pid)) and fields[19] == start and fields[0] != "Z"
    ]


def mounts() -> set[str]:
    """What is mounted on this machine, but for what containers come and go with."""
    return {line for line in Path("/proc/self/mountinfo").read_text().splitlines() if "docker" not in line}


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Underway:
    """A run in the middle of its traffic."""

    pytest: subprocess.Popen[str]
    processes: Processes
    temporary: Path
    mounts: set[str]

    def assert_nothing_is_left(self) -> None:
        """Everything that was seen is gone, and so is what it put on the file system."""
        wait_until(lambda: not alive(self.processes), END, lambda: f"still there: {self._names()}", step=0.03)
        assert mounts() <= self.mounts
        assert sorted(path.name for path in self.temporary.rglob("*")) == []
        assert str(self.temporary) not in Path("/proc/net/unix").read_text()

    def _names(self) -> list[str]:
        return [f"{pid} {name_of(pid)}" for pid in alive(self.processes)]


@pytest.fixture
def start(project: Any, bookinfo: Path) -> Iterator[Callable[..., Underway]]:
    """Starts a run in a session of its own and waits until it is in the middle of its traffic."""
    ready = project.folder / "ready"
    project.write("test_it.py", LONG.format(bookinfo=str(bookinfo), ready=str(ready)))
    started: list[subprocess.Popen[str]] = []
    with tempfile.TemporaryDirectory(prefix="ends-") as temporary:

        def run(*arguments: str, envoys: int = 0) -> Underway:
            before = mounts()
            process = subprocess.Popen(
                project.command(*arguments),
                cwd=project.folder,
                env=project.environment({"TMPDIR": temporary}),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
            started.append(process)

            def there() -> Processes | None:
                assert process.poll() is None, process.communicate()[0]
                found = descendants(process.pid)
                many = sum(name_of(pid) == "envoy" for pid in found)
                return found if (envoys and many >= envoys) or ready.exists() else None

            found = wait_until(there, START, lambda: "the run does not begin", step=0.03)
            return Underway(pytest=process, processes=found, temporary=Path(temporary), mounts=before)

        yield run
        for process in started:
            process.kill()
            process.wait(END)
            assert process.stdout is not None
            process.stdout.close()


def test_ctrl_c_ends_everything_and_the_report_is_written(start: Any, project: Any) -> None:
    underway = start()
    os.killpg(underway.pytest.pid, signal.SIGINT)
    text, _ = underway.pytest.communicate(timeout=END)
    assert underway.pytest.returncode == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in text
    underway.assert_nothing_is_left()
    report = (project.folder / "reports" / "index.html").read_text()
    assert "test_short" in report


@pytest.mark.parametrize("envoys", [1, 0], ids=["while-it-starts", "in-its-traffic"])
def test_kill_9_leaves_nothing(start: Any, envoys: int) -> None:
    underway = start(envoys=envoys)
    assert len(underway.processes) > 3
    underway.pytest.kill()
    underway.pytest.wait(END)
    underway.assert_nothing_is_left()


def test_kill_9_in_the_middle_of_faults_leaves_nothing(start: Any, project: Any, bookinfo: Path) -> None:
    project.write("test_it.py", FAULTY.format(bookinfo=str(bookinfo), ready=str(project.folder / "ready")))
    underway = start()
    still = [pid for pid in underway.processes if stat_of(pid)[:1] == ["T"]]
    assert len(still) == 2, "a sidecar and the control plane"
    underway.pytest.kill()
    underway.pytest.wait(END)
    underway.assert_nothing_is_left()


def test_kill_9_of_the_controller_ends_the_workers(start: Any, project: Any) -> None:
    pytest.importorskip("xdist")
    # pytest's own temporary folder, which it keeps for three runs, goes elsewhere
    underway = start("-n1", f"--basetemp={project.folder / 'base'}")
    underway.pytest.kill()
    underway.pytest.wait(END)
    underway.assert_nothing_is_left()


def test_sigterm_leaves_nothing(start: Any) -> None:
    underway = start()
    underway.pytest.terminate()
    underway.pytest.wait(END)
    underway.assert_nothing_is_left()


def test_an_ordinary_end_leaves_nothing(project: Any, make_scenario: Any) -> None:
    project.write("a.mesh.yaml", make_scenario("a"))
    temporary = project.folder / "temporary"
    temporary.mkdir()
    assert project.run(TMPDIR=str(temporary)).code == 0
    assert list(temporary.rglob("*")) == []


def test_what_the_machine_lacks_is_one_clear_error(project: Any, make_scenario: Any) -> None:
    project.write("a.mesh.yaml", make_scenario("a"))
    run = project.run(MESHTEST_ENVOY="/nonexistent")
    assert run.code == pytest.ExitCode.TESTS_FAILED
    message = "MESHTEST_ENVOY names /nonexistent, which is not a file"
    run.has(message, "mesh: 1 in error; report: reports/index.html", f"  ERROR  a: {message}")
    assert "Traceback" not in run.text
    assert ".py" not in run.text.partition("FAILURES")[2]
    assert run.journal["a"]["verdict"] == "error"
    assert run.journal["a"]["failure"] == message


def test_a_report_that_cannot_be_written_does_not_end_the_run(project: Any, make_scenario: Any) -> None:
    project.write("a.mesh.yaml", make_scenario("a"))
    project.write("file", "")
    run = project.run("--mesh-report=file/reports")
    assert run.code == pytest.ExitCode.OK
    run.has("mesh: 1 passed", "the report cannot be written: *")
