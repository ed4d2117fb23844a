"""Runs that end by SIGKILL at any moment leave nothing, with the reaper or, without it, after the next start.

MESHTEST_KILLS says how many runs; the moments are spread over a run's whole life, and are the same every time.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from meshtest.runtime.docker import cleaning, labels
from meshtest.runtime.docker.labels import Owner, Run
from meshtest.waiting import wait_until

if TYPE_CHECKING:
    from meshtest.runtime.docker.client import Daemon

KILLS = int(os.environ.get("MESHTEST_KILLS", "4"))
CHILD = """
import sys
from meshtest import Mesh, faults
with Mesh.from_manifests(sys.argv[1], runtime="docker") as mesh:
    with mesh.inject(faults.partition(to="back")):
        mesh.request("front", "http://back/", timeout=0.2)
    mesh.apply(sys.argv[2])
    mesh.request("front", "http://back/")
"""


CHANGE = """
apiVersion: v1
kind: Service
metadata: {name: other}
spec: {selector: {app: back}, ports: [{port: 81, name: http}]}
"""


def of_processes(daemon: Daemon, pids: set[int]) -> list[tuple[str, str]]:
    """What belongs to processes of this machine with these numbers."""
    found = []
    for kind, name, carried in daemon.labelled(labels.RUN):
        owner = Owner.parse(carried.get(labels.OWNER, ""))
        if owner is not None and owner.pid in pids:
            found.append((kind, name))
    return found


def run(manifests: str, environ: dict[str, str], after: float | None) -> tuple[int, float]:
    """One run, killed after so many seconds; its process id, and how long it lived."""
    argv = [sys.executable, "-c", CHILD, manifests, CHANGE]
    began = time.monotonic()
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environ) as child:
        timer = threading.Timer(after or 600, child.kill)
        timer.start()
        said = child.communicate()[1]
        timer.cancel()
    assert after is not None or child.returncode == 0, said.decode()
    return child.pid, time.monotonic() - began


@pytest.mark.parametrize("reaper", [True, False], ids=["reaper", "no reaper"])
def test_runs_killed_at_random_moments_leave_nothing(
    daemon: Daemon, two_manifests: str, *, reaper: bool
) -> None:
    environ = {**os.environ, "TESTCONTAINERS_RYUK_DISABLED": "false" if reaper else "true"}
    _, life = run(two_manifests, environ, None)
    moments = random.Random(KILLS)  # noqa: S311 - replayable, guards nothing
    pids = {run(two_manifests, environ, moments.uniform(0.1, life))[0] for _ in range(KILLS)}
    if not reaper:
        run(two_manifests, environ, None)  # the next start
        assert of_processes(daemon, pids) == []
    wait_until(
        lambda: not of_processes(daemon, pids), 300, lambda: f"left: {of_processes(daemon, pids)}", step=0.2
    )


def test_what_a_live_run_owns_is_left_alone(daemon: Daemon) -> None:
    run = Run.new()
    daemon.create_volume(run.name, "size=1m", run.labels)
    try:
        cleaning.remove(daemon, cleaning.left_behind(daemon))
        assert cleaning.of_run(daemon, run.name) == [("volume", run.name)]
    finally:
        daemon.remove("volume", run.name)
