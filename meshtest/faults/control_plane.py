"""Faults of the control plane: it is gone or stands still, or its pushes are late, partial, bad or withheld.

    istiod's answers ─► control plane ─── push ──► sidecars        every sidecar keeps serving by its last good
                          │ down, paused   │ late, partial, stale, rejected, no certificates     configuration

While one is in force, changes of policy (`Mesh.apply` and the like) return without waiting for whom the fault keeps
from them; they are live everywhere when it has been recovered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshtest.errors import RuntimeFailure, ScenarioError
from meshtest.faults.making import faulty
from meshtest.faults.outage import PROCESS, Out, of_process, told
from meshtest.faults.places import ANYWHERE, pods_at
from meshtest.scenario.fault_control_plane import (
    Outage,
    PartialPush,
    RejectedPush,
    SecretsWithheld,
    SlowPush,
    StaleEndpoints,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshtest.faults.base import Ground, Injection
    from meshtest.mesh.model import MeshModel, Pod
    from meshtest.scenario.faults import FaultSpec
    from meshtest.traffic.model import Exchange

Where = str | list[str] | tuple[str, ...]


def control_plane_down(**where: Any) -> FaultSpec:
    """Kill the control plane; recovery starts another one, which goes on with the same root."""
    return faulty("controlPlane", Outage.DOWN, None, where)


def control_plane_paused(**where: Any) -> FaultSpec:
    """Have the control plane stand still: connections stay open, and nothing is answered."""
    return faulty("controlPlane", Outage.PAUSED, None, where)


def slow_push(*, delay: float, to: Where | None = None, **where: Any) -> FaultSpec:
    """Have pushes reach some sidecars, or all, `delay` seconds late."""
    return faulty("slowPush", SlowPush(delay=delay), to, where)


def partial_push(*, to: Where, **where: Any) -> FaultSpec:
    """Have pushes not reach the sidecars of some workloads."""
    return faulty("partialPush", PartialPush(), to, where)


def rejected_push(*, to: Where | None = None, **where: Any) -> FaultSpec:
    """Have everything that is pushed to some sidecars, or all, be something that Envoy refuses."""
    return faulty("rejectedPush", RejectedPush(), to, where)


def stale_endpoints(*, to: Where | None = None, **where: Any) -> FaultSpec:
    """Have some sidecars, or all, learn of no change of the endpoints that they know."""
    return faulty("staleEndpoints", StaleEndpoints(), to, where)


def secrets_withheld(*, to: Where | None = None, **where: Any) -> FaultSpec:
    """Have sidecars that ask for their certificate, as they do when they start, get no answer."""
    return faulty("secretsWithheld", SecretsWithheld(), to, where)


@dataclass(slots=True, kw_only=True)
class Hindered:
    """Pushes to some sidecars that are late, kept back, refused, or without certificates."""

    id: str
    action: object
    pods: Sequence[Pod]
    everybody: bool
    ground: Ground
    workloads: Sequence[str] = ()
    """Those whose replicas to come are meant, too; `*` is every one."""
    members: tuple[str, ...] = ()
    _touched: bool = False
    _hits: int = 0

    @property
    def placement(self) -> str:
        """Between the control plane and these sidecars."""
        return _between(self.action, self.pods, everybody=self.everybody)

    @property
    def unit(self) -> str:
        """What the hits are."""
        return "requests for certificates" if isinstance(self.action, SecretsWithheld) else "pushes"

    @property
    def spots(self) -> tuple[str, ...]:
        """What is sent to each of them."""
        return _spots(self.action, self.pods)

    def inject(self) -> None:
        """Begin to hinder."""
        self._touched = True
        match self.action:
            case RejectedPush():
                self._ask("poison", on=True, proxies=self._nodes)
            case SecretsWithheld():
                self._ask("withhold", on=True, proxies=self._nodes, workloads=self.workloads)
            case SlowPush(delay=delay):
                self._ask("hold", proxies=self._only, delay=delay)
            case StaleEndpoints():
                self._ask("hold", proxies=self._only, kinds=["EDS"])
            case _:
                self._ask("hold", proxies=self._only)

    def recover(self) -> None:
        """Bring what was held up; returns when it is live."""
        if not self._touched:
            return
        match self.action:
            case RejectedPush():
                self._hits = max(self._hits, int(self._ask("poison", on=False, proxies=self._nodes)["hits"]))
            case SecretsWithheld():
                self._look()
                self._ask("withhold", on=False, proxies=self._nodes, workloads=self.workloads)
            case _:
                self._hits = max(self._hits, int(self._ask("release")["hits"]))
        self._touched = False

    def hits(self, exchanges: Sequence[Exchange]) -> int:  # noqa: ARG002 - it meets no exchange
        """How many pushes (or requests for certificates), each of one sidecar."""
        if self._touched:
            self._look()
        return self._hits

    @property
    def _nodes(self) -> list[str]:
        return [pod.node_id for pod in self.pods]

    @property
    def _only(self) -> list[str]:
        """Nobody named is everybody, pods that are yet to come included."""
        return [] if self.everybody else self._nodes

    def _look(self) -> None:
        try:
            found = told(self.ground, self._nodes, self.id, self.workloads)
        except RuntimeFailure:
            return  # another fault has the control plane down: what is known stays
        key = {RejectedPush: "refused", SecretsWithheld: "withheld"}.get(type(self.action), "held")
        self._hits = max(self._hits, int(found[key]))

    def _ask(self, op: str, **fields: Any) -> dict[str, Any]:
        within = self.ground.timeouts.push
        return self.ground.sandbox.control_plane.call(
            op, timeout=within + 5, fault=self.id, within=within, **fields
        ).header


def _words(action: object) -> str:
    match action:
        case SlowPush(delay=delay):
            return f"pushes come {delay:g} s late"
        case PartialPush():
            return "pushes do not arrive"
        case RejectedPush():
            return "whatever is pushed is refused"
        case StaleEndpoints():
            return "changes of endpoints do not arrive"
        case _:
            return "requests for certificates get no answer"


def check(spec: FaultSpec, model: MeshModel) -> None:
    """Raise ScenarioError where there is nobody to push to."""
    pods_at(spec, model, what="nothing to push to")


def spots(spec: FaultSpec, model: MeshModel) -> tuple[str, ...]:
    """What it takes hold of alone."""
    return PROCESS if isinstance(spec.action, Outage) else _spots(spec.action, pods_at(spec, model))


def placement(spec: FaultSpec, model: MeshModel) -> str:
    """Where the fault sits, in words."""
    if isinstance(spec.action, Outage):
        return of_process(spec.action)
    return _between(spec.action, pods_at(spec, model), everybody=_means_all(spec))


def _spots(action: object, pods: Sequence[Pod]) -> tuple[str, ...]:
    if isinstance(action, SecretsWithheld):  # as faults of identity, whose certificates would not arrive
        return tuple(f"TLS of {pod.key}" for pod in pods)
    return tuple(f"pushes to {pod.key}" for pod in pods)


def _between(action: object, pods: Sequence[Pod], *, everybody: bool) -> str:
    who = "every sidecar" if everybody else ", ".join(dict.fromkeys(pod.workload_key for pod in pods))
    return f"between the control plane and {who}: {_words(action)}"


def _means_all(spec: FaultSpec) -> bool:
    return not spec.to or "*" in spec.to


def plan(spec: FaultSpec, fault_id: str, ground: Ground) -> Injection:
    """The family: see the module's text."""
    pushes = ground.pushes
    if pushes is None:
        raise RuntimeFailure("nothing pushes here, so there is no control plane to hit")
    if isinstance(spec.action, Outage):
        return Out(action=spec.action, ground=ground, pushes=pushes)
    if pushes.outage:
        raise ScenarioError(
            f"the control plane is {pushes.outage} already, so it pushes nothing that could be hit",
            location=spec.location,
            key=spec.kind,
            expected="this fault before controlPlane",
        )
    pods = pods_at(spec, ground.model, what="nothing to push to")
    return Hindered(
        id=fault_id,
        action=spec.action,
        pods=pods,
        everybody=_means_all(spec),
        ground=ground,
        workloads=_whole_workloads(spec, pods) if isinstance(spec.action, SecretsWithheld) else (),
    )


def _whole_workloads(spec: FaultSpec, pods: Sequence[Pod]) -> list[str]:
    """Those that are meant as such, not by the name of one replica."""
    if _means_all(spec):
        return [ANYWHERE]
    return sorted({pod.workload_key for pod in pods if not {pod.name, pod.key} & set(spec.to)})
