"""The runtime that needs nothing but Linux: whether it can run here, what it can do, how it starts."""

from __future__ import annotations

import functools
import json
import sys
from typing import TYPE_CHECKING

from meshtest.errors import RuntimeFailure
from meshtest.mesh.addresses import RESOLVER
from meshtest.runtime.base import Capability
from meshtest.runtime.netns.begin import Beginning, Launcher
from meshtest.runtime.netns.permission import ELSE, advice, plainly_allowed
from meshtest.runtime.netns.rules import MARK
from meshtest.runtime.netns.sandbox import NetnsSandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshtest.runtime.base import SandboxPlan
    from meshtest.wire import Frame

_PROBE_TIMEOUT = 20.0


class NetnsRuntime:
    """Pods as Linux namespaces; see `meshtest.runtime.base.Runtime`."""

    name = "netns"
    socket_mark: int | None = MARK
    resolver = RESOLVER
    brings_envoy = False

    def __init__(self) -> None:
        self._begun: Beginning | None = None

    def capabilities(self) -> frozenset[Capability]:
        """What it can do here, probed."""
        _, abilities = self._probed
        return frozenset({Capability.PAUSE, *abilities})

    def missing(self) -> str | None:
        """Why it cannot run here and what to change; None if it can."""
        problem, _ = self._probed
        return problem

    def refusal(self) -> str | None:
        """Return what `missing` does, but without a trial where nothing speaks against it."""
        return None if self.surely_runs() else self.missing()

    def surely_runs(self) -> bool:
        """Whether nothing speaks against its running here, as far as can be seen without a trial."""
        return sys.platform == "linux" and plainly_allowed()

    def start(
        self,
        plan: SandboxPlan,
        on_access: Callable[[str, bytes], None],
        on_event: Callable[[str, Frame], None] | None = None,
    ) -> NetnsSandbox:
        """Start everything and return at once."""
        begun = self._begun or Beginning([plan.control_plane.target])
        self._begun = None
        return NetnsSandbox(begun, plan, on_access, on_event)

    def prepare(self, targets: Sequence[str]) -> None:
        """See `meshtest.runtime.abilities.Preparing`."""
        if self._begun is None:
            self._begun = Beginning(targets)

    def release(self) -> None:
        """End what was prepared and not used."""
        if self._begun is not None:
            self._begun.close()
            self._begun = None

    @functools.cached_property
    def _probed(self) -> tuple[str | None, frozenset[Capability]]:
        if sys.platform != "linux":
            return (
                f"the netns runtime needs Linux, this is {sys.platform}; use the docker runtime",
                frozenset(),
            )
        try:
            launcher = Launcher(["probe"], [])
        except RuntimeFailure as exc:
            return str(exc), frozenset()
        if not launcher.wait(_PROBE_TIMEOUT):
            launcher.kill()
            return f"a trial sandbox did not end within {_PROBE_TIMEOUT:g} s; {ELSE}", frozenset()
        if not launcher.stdout:
            return advice(launcher.stderr.decode(errors="replace")), frozenset()
        found = json.loads(launcher.stdout)
        if found["problem"]:
            return advice(found["problem"]), frozenset()
        return None, frozenset(Capability[name] for name in found["abilities"])
