from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.errors import RuntimeFailure

if TYPE_CHECKING:
    import subprocess


def traces() -> tuple[list[str], list[str], list[str]]:
    """What a sandbox could leave on the host: mounts, and files where temporary ones go.

    Docker's mounts and builds of the engine come and go with other tests that run at the same time.
    """
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    folders = (Path("/run"), Path("/tmp"))
    names = [path for folder in folders for path in folder.glob("*meshtest*")]
    return (
        [line for line in mounts if "/docker/" not in line],
        [str(path) for path in names if not path.name.startswith("meshtest-istiod-")],
        sorted(path.name for path in Path("/dev/shm").iterdir()),
    )


@pytest.mark.parametrize("victim", ["parent", "launcher", "supervisor"])
def test_nothing_is_left_when_one_is_killed(
    parent: subprocess.Popen[bytes], family: Any, victim: str
) -> None:
    before = traces()
    supervisor = family.named("supervisor")
    launcher = int(Path(f"/proc/{supervisor}/stat").read_text().rpartition(")")[2].split()[1])
    rest = family.members - {parent.pid}
    assert len(rest) >= 8
    os.kill({"parent": parent.pid, "launcher": launcher, "supervisor": supervisor}[victim], signal.SIGKILL)
    family.members = rest
    assert family.gone()
    assert traces() == before


def test_close_returns_when_every_process_has_ended(bench: Any, family_of: Any) -> None:
    before = set(family_of().members)
    sandbox = bench.start(bench.pod("a", 2))
    family = family_of()
    family.members -= before
    assert family.named("supervisor")
    sandbox.close()
    assert family.alive() == []
    sandbox.close()


def test_a_paused_supervisor_does_not_stop_close(bench: Any, family_of: Any) -> None:
    before = set(family_of().members)
    sandbox = bench.start(bench.pod("a", 2))
    family = family_of()
    family.members -= before
    os.kill(family.named("supervisor"), signal.SIGSTOP)
    sandbox.close()
    assert family.gone()


def test_asking_a_sandbox_that_ended_is_an_error(bench: Any) -> None:
    sandbox = bench.start(bench.pod("a", 2))
    sandbox.close()
    with pytest.raises(RuntimeFailure, match="has ended"):
        sandbox.remove_pods(["default/a"])
