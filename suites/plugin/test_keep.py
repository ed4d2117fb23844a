"""`--mesh-keep`: a failed scenario's mesh stays until the user, at a terminal, has looked around in it."""

from __future__ import annotations

import os
import select
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 30.0
AT_TERMINAL = 'exec "$@" <"$0" >"$0" 2>&1'
"""A session leader that opens a terminal gets it as its own."""


class Terminal:
    """A pseudo terminal, from the user's side."""

    def __init__(self) -> None:
        self._user, self._program = os.openpty()
        self.path = os.ttyname(self._program)
        self.seen = ""

    def wait_for(self, text: str) -> None:
        """Read until the program has printed this."""
        while text not in self.seen:
            ready, _, _ = select.select([self._user], [], [], LIMIT)
            assert ready, f"no {text!r} in {LIMIT:g} s, only: {self.seen}"
            self.seen += os.read(self._user, 4096).decode()

    def type(self, line: str) -> None:
        """What the user types."""
        self.seen = ""
        os.write(self._user, f"{line}\n".encode())

    def close(self) -> None:
        """Hang up."""
        os.close(self._user)
        os.close(self._program)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    found = Terminal()
    yield found
    found.close()


def test_commands_run_in_the_pods_of_the_failed_scenario(
    project: Any, make_scenario: Any, terminal: Terminal
) -> None:
    project.write("a.mesh.yaml", make_scenario("a", expect="status: 404"))
    process = subprocess.Popen(
        ["/bin/sh", "-c", AT_TERMINAL, terminal.path, *project.command("--mesh-keep", "-q")],
        cwd=project.folder,
        env=project.environment({}),
        start_new_session=True,
    )
    try:
        terminal.wait_for("the mesh is kept")
        assert "status: expected 404, saw 200" in terminal.seen
        terminal.type("productpage-v1 hostname")
        terminal.wait_for("productpage-v1-0")
        terminal.type("")
        terminal.wait_for("1 failed")
        assert process.wait(30) == pytest.ExitCode.TESTS_FAILED
    finally:
        process.kill()
        process.wait()


def test_without_a_terminal_nothing_waits(project: Any, make_scenario: Any) -> None:
    project.write("a.mesh.yaml", make_scenario("a", expect="status: 404"))
    run = subprocess.run(
        project.command("--mesh-keep"), cwd=project.folder, env=project.environment({}), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, text=True, check=False, timeout=60, start_new_session=True,
    )  # fmt: skip
    assert run.returncode == pytest.ExitCode.TESTS_FAILED
    assert "--mesh-keep: there is no terminal to wait at, so the mesh is not kept" in run.stdout
