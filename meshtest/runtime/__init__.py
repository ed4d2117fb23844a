"""Where pods run. `choose` finds the runtime; `base` says what every runtime can be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshtest.runtime.base import Runtime

NAMES = ("auto", "netns", "docker")


def choose(name: str) -> Runtime:
    """Return the runtime of that name; `auto` is netns where it can run, else docker where that can.

    Raises ScenarioError for an unknown name and Unsupported where the runtime cannot run.
    """
    from meshtest.errors import ScenarioError, Unsupported, nearest  # noqa: PLC0415 - whoever imports this starts fast

    if name not in NAMES:
        raise ScenarioError(
            f"no runtime {name!r}", expected=", ".join(NAMES), nearest=nearest(str(name), NAMES)
        )
    problems = []
    if name != "docker":
        from meshtest.runtime.netns.runtime import NetnsRuntime  # noqa: PLC0415 - as above

        netns = NetnsRuntime()
        problem = netns.refusal()
        if problem is None:
            return netns
        problems.append(problem)
    if name != "netns":
        from meshtest.runtime.docker.runtime import DockerRuntime  # noqa: PLC0415 - as above

        docker = DockerRuntime()
        problem = docker.missing()
        if problem is None:
            return docker
        problems.append(problem)
    raise Unsupported("\n".join(problems))


def early(name: str) -> Runtime | None:
    """The runtime that `choose` will return, where that can be known without a trial."""
    if name not in ("auto", "netns"):
        return None
    from meshtest.runtime.netns.runtime import NetnsRuntime  # noqa: PLC0415 - whoever imports this starts fast

    netns = NetnsRuntime()
    return netns if netns.surely_runs() else None
