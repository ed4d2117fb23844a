"""Refuses a fault on calls that nobody in the scenario makes: it could meet nothing. Pure.

Who sends is known where stand-ins run: the traffic's callers, those of `calls:`, and gateways. Programs and images of
the user's own may send to anybody, and so may sidecars where policies have them ask somebody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.errors import ScenarioError
from meshtest.mesh.model import PodKind
from meshtest.mesh.standins import WORKLOAD, plays
from meshtest.scenario.fault_connection import CONNECTION_FAULTS
from meshtest.scenario.faults import REQUEST_KINDS
from meshtest.scenario.images import EVERY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshtest.mesh.model import MeshModel, Pod
    from meshtest.scenario.faults import FaultSpec
    from meshtest.scenario.model import Scenario

_OF_CALLS = frozenset({*REQUEST_KINDS, *CONNECTION_FAULTS})


def check_senders(scenario: Scenario, model: MeshModel) -> None:
    """Raise ScenarioError for the first fault whose `from:` means nobody who sends anything."""
    if EVERY in scenario.images:
        return
    for index, fault in enumerate(scenario.faults):
        if fault.kind not in _OF_CALLS or not fault.sender or _asked_by_sidecars(fault, scenario, model):
            continue
        if not any(_may_send(pod, scenario, model) for pod in _pods(fault.sender, model)):
            callers = ", ".join(dict.fromkeys(each.sender for each in scenario.traffic))
            raise ScenarioError(
                f"{', '.join(fault.sender)} sends nothing in this scenario, so that {fault.kind} would meet nothing",
                location=scenario.at(f"spec.faults[{index}].from"),
                key=f"spec.faults[{index}].from",
                expected=f"who sends the traffic ({callers}), or calls: for {fault.sender[0]}",
            )


def _may_send(pod: Pod, scenario: Scenario, model: MeshModel) -> bool:
    if pod.kind is PodKind.GATEWAY:
        return True
    words = (
        *(each.sender for each in scenario.traffic),
        *scenario.calls,
        *scenario.commands,
        *scenario.images,
    )
    return pod in _pods(words, model)


def _asked_by_sidecars(fault: FaultSpec, scenario: Scenario, model: MeshModel) -> bool:
    """Whether it is about a service that policies may lean on: an authorization service, a key set, a collector."""
    own = [pod.key for pod in _pods((*scenario.commands, *scenario.images), model)]
    return any(plays(pod) != WORKLOAD or pod.key in own for pod in _pods(fault.to, model))


def _pods(names: Iterable[str], model: MeshModel) -> list[Pod]:
    wanted = set(names)
    behind = [
        pod
        for service in model.services
        if wanted & {service.name, service.key}
        for pod in model.pods_behind(service)
    ]
    named = [pod for pod in model.pods if wanted & {pod.key, pod.name, pod.workload_key, pod.workload}]
    return [*named, *behind]
