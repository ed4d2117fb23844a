from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshtest.cli.prompt import header
from suites.unit.cli.conftest import PROGRAM, RETRIES, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from suites.unit.cli.conftest import Said

pytestmark = pytest.mark.usefixtures("pods")


def read_until(running: subprocess.Popen[str], word: str) -> str:
    assert running.stdout is not None
    said = ""
    while word not in said:
        line = running.stdout.readline()
        assert line, f"ended after {said}"
        said += line
    return said


def descendants(ancestor: int) -> set[int]:
    """Every process that it started, and those that they did."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it may end meanwhile
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = {ancestor}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {ancestor}


@pytest.mark.parametrize(
    ("number", "wanted"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"]
)
def test_it_shows_the_mesh_and_ends_in_good_order(
    start: Callable[..., subprocess.Popen[str]], shop: Path, number: int, wanted: int
) -> None:
    (shop / "policy.yaml").write_text(RETRIES)
    running = start(["up", "k8s", "--apply", "policy.yaml"], cwd=shop)
    said = read_until(running, "Ctrl-C ends it")
    below = descendants(running.pid)
    os.kill(running.pid, number)
    _, err = running.communicate(timeout=30)
    assert running.returncode == wanted
    assert len(below) > 5
    assert not [pid for pid in below if Path(f"/proc/{pid}").exists()]
    assert err == ""
    assert "2 pods up in" in said
    assert "default/web-0" in said
    assert "spiffe://cluster.local/ns/default/sa/stock" in said
    assert "8080/http" in said


def test_manifests_that_a_cluster_would_refuse(process: Callable[..., Said], shop: Path) -> None:
    (shop / "k8s" / "bad.yaml").write_text(RETRIES.replace("attempts", "atempts"))
    said = process("up", "k8s")
    assert said.status == 2
    assert said.err.startswith("k8s/bad.yaml:6: ")
    assert "Traceback" not in said.err


class Typist:
    """Somebody at a terminal."""

    def __init__(self, cwd: Path) -> None:
        ours, theirs = pty.openpty()
        self._terminal = ours
        self._running = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "up", "k8s"],
            stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, env=environment(NO_COLOR="1", TERM="dumb"),
        )  # fmt: skip
        os.close(theirs)
        self.read()

    def read(self) -> str:
        """What comes until the next prompt."""
        said, deadline = b"", time.monotonic() + 60
        while not said.endswith(b"mesh> ") and time.monotonic() < deadline:
            if select.select([self._terminal], [], [], 1)[0]:
                said += os.read(self._terminal, 1 << 16)
        return said.decode()

    def type(self, line: str) -> str:
        os.write(self._terminal, f"{line}\n".encode())
        return self.read()

    def quit(self) -> int:
        os.write(self._terminal, b"quit\n")
        return self._running.wait(30)

    def leave(self) -> None:
        """Whatever happened."""
        self._running.terminate()
        self._running.wait(30)
        os.close(self._terminal)


@pytest.fixture
def typist(shop: Path) -> Iterator[Typist]:
    found = Typist(shop)
    yield found
    found.leave()


def test_the_prompt(typist: Typist, shop: Path) -> None:
    (shop / "policy.yaml").write_text(RETRIES)
    answer = typist.type("request web http://stock:8080/ -H 'end-user: jason' -X GET")
    assert "200 after" in answer
    assert "from default/stock-0" in answer
    assert "as spiffe://cluster.local/ns/default/sa/web" in answer
    assert "default/stock-0: inbound 200" in answer
    assert "live on every sidecar after" in typist.type("apply policy.yaml")
    assert "gone from every sidecar after" in typist.type("delete policy.yaml")
    assert "so it cannot be deleted" in typist.type("delete policy.yaml")
    assert "stock-0" in typist.type("exec stock cat /etc/hostname")
    assert "exit status 127" in typist.type("exec stock no-such-program")
    assert "nothing was written" in typist.type("logs stock application")
    assert "is no part of a pod" in typist.type("logs stock envoy")
    assert "default/web-0" in typist.type("pods")
    assert "did you mean 'request'?" in typist.type("requst x")
    assert "usage: request CALLER URL" in typist.type("request")
    assert "No closing quotation" in typist.type("request 'x")
    assert "end the mesh" in typist.type("help")
    assert typist.quit() == 0


@pytest.mark.parametrize(("text", "pair"), [("a:b", ("a", "b")), ("a: b:c", ("a", "b:c"))])
def test_headers_are_written_as_with_curl(text: str, pair: tuple[str, str]) -> None:
    assert header(text) == pair
