"""The control plane's process itself, killed or paused."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshtest.errors import RuntimeFailure
from meshtest.runtime.base import Action, Part
from meshtest.scenario.fault_control_plane import Outage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshtest.faults.base import Ground, Pushes
    from meshtest.traffic.model import Exchange

CONTROL_PLANE = "meshtest/control-plane"
"""The sandbox's own name of the process."""
PROCESS = ("the control plane",)
_LOST = "/stats?filter=^cluster\\.xds-grpc\\.upstream_cx_destroy_with_active_rq$"


@dataclass(slots=True, kw_only=True)
class Out:
    """No control plane, or one that does not move."""

    action: Outage
    ground: Ground
    pushes: Pushes
    members: tuple[str, ...] = ()
    _out: bool = False
    _before: dict[str, int] = field(default_factory=dict)
    _secrets: list[str] = field(default_factory=list)
    _hits: int = 0

    @property
    def placement(self) -> str:
        """Its process."""
        return of_process(self.action)

    @property
    def unit(self) -> str:
        """What the hits are."""
        return "connections" if self.action is Outage.DOWN else "changes and starts"

    @property
    def spots(self) -> tuple[str, ...]:
        """The one process."""
        return PROCESS

    def inject(self) -> None:
        """Kill or pause it."""
        if self.action is Outage.DOWN:
            self._before = self._connections_lost()
            self._secrets = told(self.ground, [])["secrets"]
        self._out = True
        self.pushes.suspend(self.action.value)
        self._signal(Action.KILL if self.action is Outage.DOWN else Action.PAUSE)

    def recover(self) -> None:
        """Start it anew, or let it go on; returns when every sidecar has the present state."""
        if not self._out:
            return
        self._signal(Action.RESUME if self.action is Outage.PAUSED else Action.START)
        self._hits = self.pushes.held
        self.pushes.resume()
        if self.action is Outage.DOWN:
            self._ask("expect", proxies=self._secrets)
            lost = self._connections_lost()
            self._hits = sum(lost.get(node, 0) > count for node, count in self._before.items())
        self._out = False

    def hits(self, exchanges: Sequence[Exchange]) -> int:  # noqa: ARG002 - it meets no exchange
        """Down: sidecars whose Envoy has counted the loss, known after recovery. Paused: changes and starts held up."""
        if self._out and self.action is Outage.PAUSED:
            return self.pushes.held
        return len(self._before) if self._out else self._hits

    def _signal(self, action: Action) -> None:
        self.ground.sandbox.signal(CONTROL_PLANE, Part.APPLICATION, action)

    def _connections_lost(self) -> dict[str, int]:
        channel, within = self.ground.sandbox.control_plane, self.ground.timeouts.push
        found: dict[str, int] = {}
        for node in told(self.ground, [])["connected"]:
            try:
                answer = channel.call("admin", timeout=within, proxy=node, path=_LOST).payload.decode()
            except RuntimeFailure:
                continue  # another fault has just ended its Envoy
            count = re.search(r": (\d+)$", answer.strip())
            found[node] = int(count[1]) if count else 0
        return found

    def _ask(self, op: str, **fields: Any) -> dict[str, Any]:
        channel = self.ground.sandbox.control_plane
        return channel.call(op, timeout=self.ground.timeouts.push, **fields).header


def told(
    ground: Ground, nodes: Sequence[str], fault: str = "", workloads: Sequence[str] = ()
) -> dict[str, Any]:
    """What the control plane knows of faults, and who is connected to it."""
    asked: dict[str, Any] = {"proxies": list(nodes), "fault": fault, "workloads": list(workloads)}
    return ground.sandbox.control_plane.call("told", timeout=ground.timeouts.push, **asked).header


def of_process(outage: Outage) -> str:
    """Where it sits, in words."""
    what = "killed" if outage is Outage.DOWN else "stopped in its tracks"
    return f"the control plane's process, {what}: no push, no certificate, for anybody"
