"""From the names in a fault to the pods of a mesh. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.errors import ScenarioError, nearest
from meshtest.mesh.model import PodKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshtest.mesh.model import MeshModel, Pod
    from meshtest.scenario.faults import FaultSpec

ANYWHERE = "*"


def callees(spec: FaultSpec, model: MeshModel) -> tuple[str, ...]:
    """The `namespace/workload` or `namespace/pod` that `to:` means.

    Raises ScenarioError where there is no such place, or where none of its pods has a sidecar to hold an HTTP fault.
    """
    if ANYWHERE in spec.to:
        return (ANYWHERE,)
    found: dict[str, None] = {}
    for name in spec.to:
        pods = _find(name, spec, model, key="to")
        if not any(pod.kind is PodKind.SIDECAR for pod in pods):
            raise ScenarioError(
                f"{name!r} has no sidecar, so nothing there can hold an HTTP fault",
                location=spec.location,
                key=f"{spec.kind}.to",
            )
        found |= dict.fromkeys(
            pods[0].key if name.rpartition("/")[2] == pods[0].name else p.workload_key for p in pods
        )
    return tuple(found)


def callers(spec: FaultSpec, model: MeshModel) -> tuple[str, ...]:
    """The `namespace/service-account` of the callers that `from:` means; empty for anybody."""
    pods = [pod for name in spec.sender for pod in _find(name, spec, model, key="from")]
    return tuple(dict.fromkeys(f"{pod.namespace}/{pod.service_account}" for pod in pods))


def _find(name: str, spec: FaultSpec, model: MeshModel, *, key: str) -> list[Pod]:
    pods = [pod for pod in model.pods if name in _names(pod)]
    if not pods:
        pods = [
            pod
            for service in model.services
            if name in (service.name, service.key)
            for pod in model.pods_behind(service)
        ]
    if not pods:
        known = sorted({pod.workload for pod in model.pods} | {service.name for service in model.services})
        raise ScenarioError(
            f"no workload, service or pod {name!r} in the mesh",
            location=spec.location,
            key=f"{spec.kind}.{key}",
            expected=f"one of {', '.join(known)}",
            nearest=nearest(name, known),
        )
    return pods


def _names(pod: Pod) -> Iterable[str]:
    return (pod.key, pod.name, pod.workload_key, pod.workload)
