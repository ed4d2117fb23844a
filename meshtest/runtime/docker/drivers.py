"""One driver to ask, many behind it: a process in the network namespace of each pod that has been a caller.

No container may enter another's namespaces, so each caller's requests come from a process in its own pod, started
by exec when the pod first calls.
"""

from __future__ import annotations

import itertools
import json
import threading
from typing import TYPE_CHECKING, Any

from meshtest.errors import RuntimeFailure
from meshtest.runtime.docker import image
from meshtest.runtime.docker.containers import OTHER_UID
from meshtest.runtime.docker.streams import Line, channel
from meshtest.runtime.netns.links import RESOLVER
from meshtest.runtime.role import CONFIG

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshtest.runtime.base import Role
    from meshtest.runtime.docker.client import Daemon
    from meshtest.wire import Channel, Frame


class Drivers:
    """Sends each operation to the driver in its caller's pod; speaks as `meshtest.wire.Channel` does."""

    def __init__(self, daemon: Daemon, role: Role, owner_of: Callable[[str], str | None]) -> None:
        self.name = "the traffic driver"
        self._daemon = daemon
        self._role = role
        self._owner_of = owner_of
        self._lock = threading.Lock()
        self._running: dict[str, tuple[str, Line, Channel]] = {}
        self._tickets: dict[int, tuple[Channel, int]] = {}
        self._numbers = itertools.count(1)
        self._loads: dict[str, Channel] = {}

    def call(self, op: str, payload: bytes = b"", *, timeout: float, **fields: Any) -> Frame:
        """Ask and wait for the answer."""
        return self.result(self.start(op, payload, **fields), timeout=timeout)

    def start(self, op: str, payload: bytes = b"", **fields: Any) -> int:
        """Ask without waiting; `result` takes the ticket."""
        chosen = self._channel(op, fields)
        number = next(self._numbers)
        self._tickets[number] = chosen, chosen.start(op, payload, **fields)
        if op == "load":
            self._loads[str(fields.get("name", ""))] = chosen
        return number

    def result(self, ticket: int, *, timeout: float) -> Frame:
        """The answer to `start`."""
        chosen, number = self._tickets.pop(ticket)
        return chosen.result(number, timeout=timeout)

    def close(self) -> None:
        """End all of them."""
        with self._lock:
            running, self._running = self._running, {}
        for _, line, _ in running.values():
            line.hang_up()

    def _channel(self, op: str, fields: Mapping[str, Any]) -> Channel:
        if op == "cancel":
            found = self._loads.pop(str(fields["name"]), None)
            if found is None:
                raise RuntimeFailure(f"{self.name}: no load {fields['name']} is under way")
            return found
        caller = str(fields.get("caller") or fields.get("pod") or "")
        owner = self._owner_of(caller)
        if owner is None:
            raise RuntimeFailure(f"{self.name}: {caller} is not a running pod")
        with self._lock:
            known = self._running.get(caller)
            if known is None or known[0] != owner:
                known = self._running[caller] = self._start(caller, owner)
        return known[2]

    def _start(self, caller: str, owner: str) -> tuple[str, Line, Channel]:
        config = {**self._role.config, "namespaces": None, "resolver": RESOLVER}
        stream = self._daemon.exec_stream(
            owner,
            [image.PYTHON, "-m", "meshtest.runtime.role", self._role.target],
            user=f"{OTHER_UID}:{OTHER_UID}",
            env={CONFIG: json.dumps(config)},
        )
        line = Line()
        found = channel(f"{self.name} of {caller}", line, cause=self._daemon.lost)
        line.connect(stream)
        return owner, line, found
