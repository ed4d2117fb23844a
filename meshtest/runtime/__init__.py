"""Where pods run. `choose` finds the runtime; `base` says what every runtime can be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshtest.runtime.base import Runtime

NAMES = ("auto", "netns", "docker")


def choose(name: str) -> Runtime:
    """Return the runtime of that name; `auto` is netns where it can run.

    Raises ScenarioError for an unknown name and Unsupported where the runtime cannot run.
    """
    from meshtest.errors import ScenarioError, Unsupported, nearest  # noqa: PLC0415 - whoever imports this starts fast

    if name not in NAMES:
        raise ScenarioError(f"no runtime {name!r}", expected=", ".join(NAMES), nearest=nearest(name, NAMES))
    if name == "docker":
        raise Unsupported("the docker runtime is not available: use --mesh-runtime=netns")
    from meshtest.runtime.netns.runtime import NetnsRuntime  # noqa: PLC0415 - as above

    runtime = NetnsRuntime()
    problem = runtime.refusal()
    if problem is not None:
        raise Unsupported(problem)
    return runtime
