"""Edges that go through Toxiproxy while a connection fault is in force.

inject:    listeners with toxics ──► callers' endpoints swapped ──► acknowledged, old connections dropped
recover:   callers' endpoints as istiod says ──► acknowledged ──► listeners gone
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshtest.errors import RuntimeFailure, ScenarioError, Unsupported
from meshtest.runtime.base import Role

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshtest.faults.base import Ground
    from meshtest.mesh.model import Pod
    from meshtest.runtime.abilities import Between
    from meshtest.scenario.faults import FaultSpec
    from meshtest.traffic.model import Exchange
    from meshtest.wire import Channel, Frame

VARIABLE = "MESHTEST_TOXIPROXY"
ROLE = "meshtest/toxiproxy"
_API = 8474
_START = 15.0
_COUNTED = re.compile(r"::([0-9.]+:[0-9]+)::(cx|rq)_total::([0-9]+)$", re.MULTILINE)


def server() -> list[str]:
    """How the Toxiproxy server is started: the engine's own, or another one that MESHTEST_TOXIPROXY names."""
    given = os.environ.get(VARIABLE)
    if given:
        if not (Path(given).is_file() and os.access(given, os.X_OK)):
            raise Unsupported(f"{VARIABLE}={given} is not a program; unset it, or name a toxiproxy-server")
        return [given, "-host", "127.0.0.1", "-port", str(_API)]
    from meshtest.istiod.binary import find_or_build  # noqa: PLC0415 - only where a connection fault is used

    return [str(find_or_build(lambda _: None)), "toxiproxy", "-listen", f"127.0.0.1:{_API}"]


@dataclass(slots=True, kw_only=True)
class Detour:
    """A connection fault on one mesh."""

    id: str
    spec: FaultSpec
    ground: Ground
    sandbox: Between
    senders: Sequence[Pod]
    receivers: Sequence[Pod]
    toxics: Sequence[Mapping[str, Any]]
    """Without any, the listeners are down."""
    placement: str
    members: tuple[str, ...] = ()
    unit: str = "attempts"
    detours: dict[str, str] = field(default_factory=dict)
    """Address of a listener -> the endpoint behind it."""
    _toxiproxy: Channel | None = None
    _nodes: tuple[str, ...] = ()
    _before: int = 0
    _passed: int = 0

    def prepare(self) -> None:
        """Have the server run, which takes longer than all the rest."""
        self._keeper().call("start", timeout=_START)

    def inject(self) -> None:
        """Make the listeners with their toxics, then send the callers there; returns when all of them go there."""
        edges = self._edges()
        self._toxiproxy = self._keeper()
        made = self._toxiproxy.call(
            "attach",
            timeout=_START + self.ground.timeouts.push,
            fault=self.id,
            edges=edges,
            toxics=list(self.toxics),
            down=not self.toxics,
        ).header
        self.detours = {listener: endpoint for _, endpoint, listener in made["edges"]}
        self._nodes = tuple(dict.fromkeys(node for node, _ in edges))
        self._before = self._counted() if made["shared"] else 0
        swap: dict[str, dict[str, str]] = {}
        for node, endpoint, listener in made["edges"]:
            swap.setdefault(node, {})[endpoint] = listener
        self._control("endpoints", swap=swap)

    def recover(self) -> None:
        """Send the callers where istiod says again, then take the listeners away."""
        if self._toxiproxy is None:
            return
        timeout = self.ground.timeouts.push
        self._passed = max(self._passed, self._counted() - self._before)
        try:
            gone = self._toxiproxy.call("detach", timeout=timeout, fault=self.id).header["edges"]
        except RuntimeFailure:  # the process has ended, and Toxiproxy with it: only the way there is left
            gone, self._toxiproxy = [(node, "", each) for node in self._nodes for each in self.detours], None
        release: dict[str, list[str]] = {}
        for node, _, listener in gone:
            release.setdefault(node, []).append(listener)
        self._control("endpoints", release=release)
        if self._toxiproxy is not None:
            self._toxiproxy.call("remove", timeout=timeout, fault=self.id)
            self._toxiproxy = None

    def hits(self, exchanges: Sequence[Exchange]) -> int:
        """How many attempts went to its listeners: seen in log lines, and after its end counted by the sidecars."""
        seen = sum(hop.upstream in self.detours for exchange in exchanges for hop in exchange.hops)
        return max(seen, self._passed)

    def _keeper(self) -> Channel:
        """The process that keeps the server, started if there is none."""
        config = {"argv": server(), "api": _API, "address": self.sandbox.address(ROLE)}
        return self.sandbox.role(ROLE, Role(target="meshtest.faults.toxics:main", config=config))

    def _control(self, op: str, **fields: Any) -> Frame:
        return self.ground.sandbox.control_plane.call(op, timeout=self.ground.timeouts.push, **fields)

    def _edges(self) -> list[tuple[str, str]]:
        """Caller's node id and callee's `ip:port`, for every endpoint that istiod gave a caller."""
        nodes, ips = [pod.node_id for pod in self.senders], [pod.ip for pod in self.receivers]
        asked = self._control("edges", proxies=nodes, ips=ips).header
        found: list[tuple[str, str]] = []
        for pod in self.senders:
            own = f"{pod.ip}:"
            theirs = [endpoint for endpoint in asked["found"][pod.node_id] if not endpoint.startswith(own)]
            if self.spec.sender and not theirs:
                raise self._no_edge(pod.key, asked["others"].get(pod.node_id, {}))
            found += [(pod.node_id, endpoint) for endpoint in theirs]
        if not found:
            others = {name: kind for each in asked["others"].values() for name, kind in each.items()}
            raise self._no_edge("any sidecar", others)
        return found

    def _no_edge(self, sender: str, others: Mapping[str, str]) -> ScenarioError:
        model, whom = self.ground.model, ", ".join(self.spec.to)
        behind = {each.host: model.pods_behind(each) for each in model.services}
        hosts = [host for host, pods in behind.items() if any(pod in self.receivers for pod in pods)]
        direct = [f"{name} ({kind})" for name, kind in others.items() if name.rpartition("|")[2] in hosts]
        reason = (
            f"its way there is {', '.join(direct)}: such clusters (of headless services, for one) have no endpoints"
            if direct
            else "no Service that it knows leads there"
        )
        return ScenarioError(
            f"no edge from {sender} to {whom} that could go through Toxiproxy: {reason}",
            location=self.spec.location,
            key=self.spec.kind,
            expected="a caller with a sidecar, and a callee behind a Service with a cluster IP",
        )

    def _counted(self) -> int:
        """What the callers' sidecars have sent to the listeners so far."""
        total = 0
        for node in self._nodes:
            try:
                clusters = self._control("admin", proxy=node, path="/clusters").payload.decode()
            except RuntimeFailure:
                continue  # its Envoy is gone, and with it what it had counted
            total += counted(clusters, self.detours)
        return total


def counted(clusters: str, listeners: Mapping[str, str]) -> int:
    """Attempts in an Envoy's `/clusters`: a refused connection carries no request, a pooled one carries many."""
    totals = {"cx": 0, "rq": 0}
    for address, what, number in _COUNTED.findall(clusters):
        if address in listeners:
            totals[what] += int(number)
    return max(totals.values())
