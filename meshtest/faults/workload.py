"""Workload faults: processes of pods are killed, stopped, paused or started anew.

                   ┌─ application   kill, stop (SIGTERM first), pause, restart
    pod of `to:` ──┤
                   └─ sidecar       the same; its pooled connections die with it, its pod is cut off

It is crossed by every exchange in its window whose evidence leads to one of the chosen pods: a hop of its sidecar,
an attempt sent to its address, an answer of its own, a retry of a service that it stands behind, or a question that
Envoy itself puts to it (of a pod that plays `ext-authz` or `jwks`). A pod that ended without anybody asking for it
proves nothing: then the fault was not hit.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshtest.errors import ScenarioError
from meshtest.faults.limiting import Limited, words
from meshtest.faults.making import faulty
from meshtest.faults.places import pods_of
from meshtest.faults.signalling import catch_up, signal
from meshtest.mesh.model import PodKind
from meshtest.mesh.standins import plays
from meshtest.runtime.base import Action, Part
from meshtest.scenario.fault_workload import PARTS, Limits, ProcessFault
from meshtest.traffic.refusals import asked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshtest.faults.base import Ground
    from meshtest.mesh.model import MeshModel, Pod
    from meshtest.scenario.faults import FaultSpec
    from meshtest.traffic.model import Exchange, Hop

_DONE: Mapping[str, Action] = {
    "kill": Action.KILL,
    "stop": Action.STOP,
    "pause": Action.PAUSE,
    "restart": Action.KILL,
}


def kill(*, to: str | Sequence[str], **where: Any) -> FaultSpec:
    """End processes at once (SIGKILL); they are started again at recovery, and ready when it returns.

    Args:
        to: workloads, services or pods.
        where: `part` (`application` or `sidecar`), `replicas` (so many of the pods) or `share` (per cent of them),
            chosen by the seed; `name`, `during=(at, for)` in seconds.
    """
    return _processes("kill", to, where)


def stop(*, to: str | Sequence[str], **where: Any) -> FaultSpec:
    """End processes as a rollout does (SIGTERM, later SIGKILL); otherwise as `kill`."""
    return _processes("stop", to, where)


def pause(*, to: str | Sequence[str], **where: Any) -> FaultSpec:
    """Have processes stand still: they accept connections and answer nothing; otherwise as `kill`."""
    return _processes("pause", to, where)


def restart(*, to: str | Sequence[str], **where: Any) -> FaultSpec:
    """Kill processes and start them again at once; otherwise as `kill`."""
    return _processes("restart", to, where)


def limits(*, to: str | Sequence[str], cpu: str = "", memory: str = "", **where: Any) -> FaultSpec:
    """Give containers less, in Kubernetes' quantities; only where the runtime has containers."""
    return faulty("limits", Limits(cpu=cpu, memory=memory), to, where)


def _processes(kind: str, to: str | Sequence[str], where: dict[str, Any]) -> FaultSpec:
    rest = dict(where)
    part, replicas, share = (
        rest.pop(name, other) for name, other in (("part", PARTS[0]), ("replicas", None), ("share", 100.0))
    )
    action = ProcessFault(part=part, replicas=replicas, share=share)
    return faulty(kind, action, to, rest, depth=3)


@dataclass(slots=True, kw_only=True)
class Processes:
    """Processes that something is done to; `recover` undoes what `inject` came to do."""

    id: str
    kind: str
    part: Part
    pods: tuple[Pod, ...]
    ground: Ground = field(repr=False)
    members: tuple[str, ...] = ()
    _down: list[Pod] = field(default_factory=list)
    _touched: int = 0
    _unsettled: list[Pod] = field(default_factory=list)

    @property
    def placement(self) -> str:
        """Where it sits, in words."""
        return f"{self.part.value} of {_keys(self.pods)}: {self.kind}"

    @property
    def spots(self) -> tuple[str, ...]:
        """A process can be in one such state only."""
        return tuple(f"{self.part.value} of {pod.key}" for pod in self.pods)

    @property
    def silent(self) -> frozenset[str]:
        """What a sidecar had not written when it was hit is lost, or comes when it goes on."""
        return frozenset(pod.key for pod in self.pods) if self.part is Part.SIDECAR else frozenset()

    def inject(self) -> None:
        """Do it to one process after the other."""
        for pod in self.pods:
            signal(self.ground.sandbox, self.ground.pushes, pod, self.part, _DONE[self.kind])
            self._touched += 1
            self._down.append(pod)
            if self.kind == "restart":
                self._raise_again(pod)
        if self.kind == "restart":
            self.settle()

    def recover(self) -> None:
        """Have every process run that was hit; returns when the applications are ready."""
        failures = []
        for pod in tuple(self._down):
            try:
                self._raise_again(pod)
            except Exception as exc:  # noqa: BLE001 - the others are raised again first
                failures.append(exc)
        if failures:
            raise failures[0]

    def settle(self) -> None:
        """Wait until the sidecars that run again have their configuration, unless there is nobody to give it."""
        outage = self.ground.pushes is not None and self.ground.pushes.outage
        if self.part is Part.SIDECAR and self._unsettled and not outage:
            nodes = [pod.node_id for pod in self._unsettled]
            within = self.ground.timeouts.push
            self.ground.sandbox.control_plane.call("ready", timeout=within + 1, only=nodes, within=within)
        self._unsettled.clear()

    def hits(self, exchanges: Sequence[Exchange]) -> int:
        """How many exchanges led to one of the pods; see the module's text."""
        return sum(map(self._crossed, exchanges)) if self._touched else 0

    def _raise_again(self, pod: Pod) -> None:
        action = Action.RESUME if self.kind == "pause" else Action.START
        self.ground.sandbox.signal(pod.key, self.part, action)
        self._down.remove(pod)  # it runs, whatever becomes of its configuration
        self._unsettled.append(pod)
        catch_up(self.ground.pushes, pod, self.part, action)

    def _crossed(self, exchange: Exchange) -> bool:
        keys = {pod.key for pod in self.pods}
        if exchange.caller in keys and self.part is Part.SIDECAR:
            return True
        backend = exchange.backend
        if backend is not None and f"{backend.namespace}/{backend.pod}" in keys:
            return True
        ips = {pod.ip for pod in self.pods}
        if exchange.remote_address.rpartition(":")[0] in ips | self._cluster_ips():
            return True
        return any(self._leads_here(hop, keys, ips) for hop in exchange.hops)

    def _leads_here(self, hop: Hop, keys: set[str], ips: set[str]) -> bool:
        if asked(hop) & {plays(pod) for pod in self.pods}:
            return True
        if hop.side == "inbound":
            return hop.pod in keys
        if hop.upstream.rpartition(":")[0] in ips:
            return True
        # The log names the last attempt's pod only; an earlier one, or one that found nobody, may have been here.
        vain = hop.attempts > 1 or not hop.upstream
        return vain and any(host in hop.cluster for host in self._hosts())

    def _hosts(self) -> set[str]:
        model = self.ground.model
        return {s.host for s in model.services if any(pod in self.pods for pod in model.pods_behind(s))}

    def _cluster_ips(self) -> set[str]:
        """Of Services that nobody but the chosen pods stands behind; calls without sidecar show no more."""
        model = self.ground.model
        found = set()
        for service in model.services:
            behind = model.pods_behind(service)
            if service.cluster_ip and behind and all(pod in self.pods for pod in behind):
                found.add(service.cluster_ip)
        return found


def plan(spec: FaultSpec, fault_id: str, ground: Ground) -> Processes | Limited:
    """The family: see the module's text."""
    action = spec.action
    pods = candidates(spec, ground.model)
    if isinstance(action, Limits):
        part = Part(PARTS[0])
        seen = Processes(id=fault_id, kind=spec.kind, part=part, pods=tuple(pods), ground=ground, _touched=1)
        return Limited(id=fault_id, limits=action, pods=tuple(pods), ground=ground, crossed=seen.hits)
    assert isinstance(action, ProcessFault)  # noqa: S101 - the other of the family's two
    chosen = _chosen(action, pods, fault_id, ground.seed)
    return Processes(id=fault_id, kind=spec.kind, part=Part(action.part), pods=tuple(chosen), ground=ground)


def placement(spec: FaultSpec, model: MeshModel, seed: int | None = None) -> str:
    """Where the fault sits, in words; None is a seed that nobody knows yet."""
    action, pods = spec.action, candidates(spec, model)
    if isinstance(action, Limits):
        return words(action, pods)
    assert isinstance(action, ProcessFault)  # noqa: S101 - the other of the family's two
    number = _number(action, len(pods))
    if number < len(pods) and seed is None:
        return f"{action.part} of {number} of {_keys(pods)}, chosen by the seed of the run: {spec.kind}"
    return f"{action.part} of {_keys(_chosen(action, pods, spec.name, seed or 0))}: {spec.kind}"


def _chosen(action: ProcessFault, pods: list[Pod], fault_id: str, seed: int) -> list[Pod]:
    number = _number(action, len(pods))
    rng = random.Random(f"{seed}/{fault_id}")  # noqa: S311 - replayable by its seed
    return pods if number == len(pods) else sorted(rng.sample(pods, number), key=pods.index)


def _keys(pods: Sequence[Pod]) -> str:
    return ", ".join(pod.key for pod in pods)


def check(spec: FaultSpec, model: MeshModel) -> None:
    """Raise ScenarioError where there is nothing to hit."""
    if isinstance(spec.action, ProcessFault):
        _number(spec.action, len(candidates(spec, model)), spec)


def spots(spec: FaultSpec, model: MeshModel) -> tuple[str, ...]:
    """What it surely takes hold of; nothing where the seed chooses."""
    action = spec.action
    if not isinstance(action, ProcessFault):
        return ()
    pods = candidates(spec, model)
    if _number(action, len(pods)) < len(pods):
        return ()
    return tuple(f"{action.part} of {pod.key}" for pod in pods)


def candidates(spec: FaultSpec, model: MeshModel) -> list[Pod]:
    """The pods that `to:` means; raises ScenarioError where one of them has no such part."""
    pods = pods_of(spec.to, spec, model, key="to")
    part = spec.action.part if isinstance(spec.action, ProcessFault) else PARTS[0]
    lacking, other = (PodKind.PLAIN, PARTS[0]) if part == PARTS[1] else (PodKind.GATEWAY, PARTS[1])
    for pod in pods:
        if pod.kind is lacking:
            raise ScenarioError(
                f"{pod.key} has no {part}", location=spec.location, key=f"{spec.kind}.part", expected=other
            )
    return pods


def _number(action: ProcessFault, pods: int, spec: FaultSpec | None = None) -> int:
    if action.replicas is None:
        return max(1, int(pods * action.share / 100 + 0.5 + 1e-9))
    if spec is not None and action.replicas > pods:
        raise ScenarioError(
            f"{action.replicas} replicas, but {', '.join(spec.to)} has {pods}",
            location=spec.location, key=f"{spec.kind}.replicas", expected=f"at most {pods}",
        )  # fmt: skip
    return min(action.replicas, pods)
