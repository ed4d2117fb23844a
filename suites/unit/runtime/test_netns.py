from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from meshtest.errors import ScenarioError
from meshtest.runtime import choose
from meshtest.runtime.base import Capability
from meshtest.runtime.netns.begin import launcher_command
from meshtest.runtime.netns.permission import advice, plainly_allowed


def test_auto_chooses_netns_where_it_can_run(runtime: Any) -> None:
    assert choose("auto").name == choose("netns").name == runtime.name == "netns"


def test_an_unknown_runtime_is_an_error_of_the_user() -> None:
    with pytest.raises(
        ScenarioError, match="no runtime 'netn'; expected auto, netns, docker; did you mean 'netns'"
    ):
        choose("netn")


def test_no_name_of_a_runtime_is_one_too() -> None:
    with pytest.raises(ScenarioError, match="no runtime None"):
        choose(None)  # type: ignore[arg-type]  # what a user may hand over


def test_processes_can_be_paused_everywhere(runtime: Any) -> None:
    assert Capability.PAUSE in runtime.capabilities()
    assert Capability.IMAGES not in runtime.capabilities()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("user/max_user_namespaces", "0", "sysctl user.max_user_namespaces="),
        ("kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "apparmor_restrict_unprivileged_userns=0"),
        ("user/max_user_namespaces", "100", "run as root, or in a container with"),
    ],
)
def test_says_what_to_change(tmp_path: Path, name: str, value: str, words: str) -> None:
    (tmp_path / "sys" / name).parent.mkdir(parents=True)
    (tmp_path / "sys" / name).write_text(f"{value}\n")
    said = advice("Traceback\nPermissionError: [Errno 1] unshare: Operation not permitted\n", tmp_path)
    assert words in said
    assert "Operation not permitted" in said
    assert "docker" in said


@pytest.mark.parametrize(
    ("seccomp", "limit", "allowed"),
    [(0, 100, True), (2, 100, False), (0, 0, False)],
    ids=["free", "container", "off"],
)
def test_tries_first_where_something_speaks_against_it(
    tmp_path: Path, seccomp: int, limit: int, *, allowed: bool
) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "status").write_text(f"Name:\tx\nSeccomp:\t{seccomp}\n")
    (tmp_path / "sys" / "user").mkdir(parents=True)
    (tmp_path / "sys" / "user" / "max_user_namespaces").write_text(f"{limit}\n")
    assert plainly_allowed(tmp_path) is allowed


def test_what_the_launcher_starts_with_is_quick_to_import() -> None:
    heavy = ("asyncio", "pyroute2", "dnslib", "grpc", "google", "inspect_", "pytest", "yaml", "threading")
    command = launcher_command([])
    command[command.index("-c") + 1] = (
        "import sys; sys.path[:] = sys.argv.pop().split(':'); import meshtest.runtime.netns.supervisor; "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    assert subprocess.run(command, capture_output=True, check=True, text=True).stdout == "[]\n"


ORDINARY = """
import os, sys
sys.path[:0] = {path!r}
from meshtest.runtime.netns.runtime import NetnsRuntime
os.setgroups([]); os.setgid({gid}); os.setuid({uid})
import importlib.util
spec = importlib.util.spec_from_file_location("bench", {conftest!r})
module = importlib.util.module_from_spec(spec)
sys.modules["bench"] = module
spec.loader.exec_module(module)
runtime = NetnsRuntime()
print(runtime.missing() or "", flush=True)
it = module.Bench(runtime)
sandbox = it.start(it.pod("a", 2), it.pod("b", 3), network=it.services(one=[3]))
print(it.call("10.96.1.1", 80))
print(sandbox.execute("default/a", ["getent", "ahostsv4", "one"], timeout=5).stdout.split()[0])
sandbox.close()
"""


@pytest.mark.skipif(
    os.geteuid() != 0, reason="every other test is this one when pytest runs as an ordinary user"
)
def test_an_ordinary_user_can_run_a_sandbox(runtime: Any) -> None:
    del runtime
    nobody = pwd.getpwnam("nobody")
    # An interpreter that lives in root's home cannot be started by nobody; the system's, if it is alike, can.
    readable = shutil.which(
        f"python{sys.version_info.major}.{sys.version_info.minor}", path="/usr/bin:/usr/local/bin"
    )
    if readable is None:
        pytest.skip("no Python that every user may run")
    here = Path(__file__).parent
    path = [str(here / "roles"), *(entry for entry in sys.path if "/root/" not in entry)]
    program = ORDINARY.format(
        path=path, gid=nobody.pw_gid, uid=nobody.pw_uid, conftest=str(here / "conftest.py")
    )
    done = subprocess.run(
        [readable, "-B", "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    problem, *answers = done.stdout.split("\n")
    if problem:
        pytest.skip(problem)
    assert answers == ["b 10.244.0.2", "10.96.1.1", ""], done.stderr
