"""Runs that end by SIGKILL at any moment leave nothing, with the reaper or, without it, after the next start."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from meshtest.runtime.docker import cleaning, labels
from meshtest.runtime.docker.labels import Owner, Run
from meshtest.waiting import wait_until

if TYPE_CHECKING:
    from meshtest.runtime.docker.client import Daemon

KILLS = int(os.environ.get("MESHTEST_KILLS", "3"))
LONGEST = 8.0
CHILD = """
import sys
from meshtest.live.mesh import Mesh
with Mesh.from_manifests(sys.argv[1], runtime="docker"):
    print("up", flush=True)
    sys.stdin.read()
"""


def owned_by(daemon: Daemon, pids: set[int]) -> list[tuple[str, str]]:
    """What belongs to processes of this machine with these numbers."""
    found = []
    for kind, name, carried in daemon.labelled(labels.RUN):
        owner = Owner.parse(carried.get(labels.OWNER, ""))
        if owner is not None and owner.pid in pids:
            found.append((kind, name))
    return found


def killed(manifests: str, environ: dict[str, str], after: float) -> int:
    """Start a run and kill it; returns its process id."""
    argv = [sys.executable, "-c", CHILD, manifests]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environ
    ) as child:
        timer = threading.Timer(after, child.kill)
        timer.start()
        child.wait()
        timer.cancel()
        return child.pid


@pytest.mark.parametrize("reaper", [True, False], ids=["reaper", "no reaper"])
def test_runs_killed_at_random_moments_leave_nothing(
    daemon: Daemon, two_manifests: str, *, reaper: bool
) -> None:
    environ = {**os.environ, "TESTCONTAINERS_RYUK_DISABLED": "false" if reaper else "true"}
    moments = random.Random(KILLS)  # noqa: S311 - replayable, guards nothing
    pids = {killed(two_manifests, environ, moments.uniform(0.2, LONGEST)) for _ in range(KILLS)}
    if not reaper:
        cleaning.remove(daemon, cleaning.left_behind(daemon))
    wait_until(lambda: not owned_by(daemon, pids), 120, lambda: f"left: {owned_by(daemon, pids)}", step=0.2)


def test_what_a_live_run_owns_is_left_alone(daemon: Daemon) -> None:
    run = Run.new()
    daemon.create_volume(run.name, "size=1m", run.labels)
    try:
        cleaning.remove(daemon, cleaning.left_behind(daemon))
        assert cleaning.of_run(daemon, run.name) == [("volume", run.name)]
    finally:
        daemon.remove("volume", run.name)
