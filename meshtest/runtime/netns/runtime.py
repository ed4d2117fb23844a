"""The runtime that needs nothing but Linux: whether it can run here, what it can do, and starting a sandbox."""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from meshtest.errors import RuntimeFailure
from meshtest.runtime.base import Capability
from meshtest.runtime.netns.sandbox import Launcher, NetnsSandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.runtime.base import SandboxPlan
    from meshtest.wire import Frame

_PROBE_TIMEOUT = 20.0
_ELSE = "or use the docker runtime (--mesh-runtime=docker)"


class NetnsRuntime:
    """Pods as Linux namespaces; see `meshtest.runtime.base.Runtime`."""

    name = "netns"

    def capabilities(self) -> frozenset[Capability]:
        """What it can do here, probed."""
        _, abilities = self._probed
        return frozenset({Capability.PAUSE, *abilities})

    def missing(self) -> str | None:
        """Why it cannot run here and what to change; None if it can."""
        problem, _ = self._probed
        return problem

    def start(
        self,
        plan: SandboxPlan,
        on_access: Callable[[str, bytes], None],
        on_event: Callable[[str, Frame], None] | None = None,
    ) -> NetnsSandbox:
        """Start everything and return at once."""
        return NetnsSandbox(plan, on_access, on_event)

    @functools.cached_property
    def _probed(self) -> tuple[str | None, frozenset[Capability]]:
        if sys.platform != "linux":
            return f"the netns runtime needs Linux, this is {sys.platform}; use the docker runtime", frozenset()
        try:
            launcher = Launcher(["probe"], [])
        except RuntimeFailure as exc:
            return str(exc), frozenset()
        if not launcher.wait(_PROBE_TIMEOUT):
            launcher.kill()
            return f"a trial sandbox did not end within {_PROBE_TIMEOUT:g} s; {_ELSE}", frozenset()
        if not launcher.stdout:
            return advice(launcher.stderr.decode(errors="replace"), Path("/proc/sys")), frozenset()
        found = json.loads(launcher.stdout)
        if found["problem"]:
            return advice(found["problem"], Path("/proc/sys")), frozenset()
        return None, frozenset(Capability[name] for name in found["abilities"])


def advice(problem: str, sysctl: Path) -> str:
    """What keeps this machine from running sandboxes, and what to change."""
    reason = (problem.strip().splitlines() or ["unknown"])[-1]
    for name, forbidding, change in (
        ("user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000"),
        ("kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "sysctl kernel.apparmor_restrict_unprivileged_userns=0"),
    ):
        if _read(sysctl / name) == forbidding:
            return f"unprivileged user namespaces are switched off ({reason}): as root, {change}; {_ELSE}"
    return (
        f"the namespaces of a sandbox cannot be made ({reason}): run as root, or in a container with "
        f"--security-opt seccomp=unconfined --cap-add SYS_ADMIN --cap-add NET_ADMIN; {_ELSE}"
    )


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
