from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from meshtest.errors import ScenarioError
from meshtest.runner.keeping import HELP, hold
from meshtest.runtime.base import Completed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshtest.live.mesh import Mesh


@dataclass(frozen=True)
class Pod:
    key: str
    ip: str


class Kept:
    """The part of a mesh that a user sees."""

    pods = (Pod("default/a-0", "10.244.0.1"), Pod("default/longer-0", "10.244.0.2"))

    def execute(self, pod: str, argv: Sequence[str]) -> Completed:
        if pod == "nobody":
            raise ScenarioError("no workload 'nobody'")
        return Completed(returncode=len(argv) - 1, stdout=f"{pod}: {'|'.join(argv)}\n", stderr="")


def typed(*lines: str) -> list[str]:
    said: list[str] = []
    hold(cast("Mesh", cast("Any", Kept())), [f"{line}\n" for line in lines], said.append)
    return said


def test_the_pods_are_shown_with_their_addresses() -> None:
    assert typed() == ["  default/a-0       10.244.0.1", "  default/longer-0  10.244.0.2", HELP]


def test_commands_run_until_an_empty_line() -> None:
    assert typed("a-0 ls", "", "a-0 never")[3:] == ["a-0: ls"]


def test_words_are_split_as_a_shell_does_and_a_status_is_told() -> None:
    assert typed("a-0 echo 'one word'")[3:] == ["a-0: echo|one word\n(exit status 1)"]


def test_a_mistake_is_told_and_the_next_line_runs() -> None:
    assert typed("nobody ls", "a-0 'open", "a-0", "a-0 ls")[3:] == [
        "no workload 'nobody'",
        "No closing quotation",
        HELP,
        "a-0: ls",
    ]
