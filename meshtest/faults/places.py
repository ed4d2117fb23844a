"""From the names in a fault to the pods of a mesh. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.errors import ScenarioError, nearest
from meshtest.mesh.model import PodKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshtest.mesh.model import MeshModel, Pod, Service
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
                expected="a workload with a sidecar; elsewhere a fault of the workload, of packets or of names",
            )
        found |= dict.fromkeys(
            pods[0].key if name.rpartition("/")[2] == pods[0].name else p.workload_key for p in pods
        )
    return tuple(found)


def pods_at(spec: FaultSpec, model: MeshModel, *, what: str = "") -> tuple[Pod, ...]:
    """The pods with an Envoy that `to:` means; nothing or `*` means all of them.

    Raises ScenarioError where there is no such place, or where none of its pods has an Envoy for `what`.
    """
    if not spec.to or ANYWHERE in spec.to:
        return tuple(pod for pod in model.pods if pod.has_envoy)
    chosen: dict[str, Pod] = {}
    for name in spec.to:
        envoys = [pod for pod in _find(name, spec, model, key="to") if pod.has_envoy]
        if not envoys:
            raise ScenarioError(
                f"{name!r} has no sidecar{f', so there is {what}' if what else ''}",
                location=spec.location,
                key=f"{spec.kind}.to",
                expected="a workload with a sidecar, or a gateway",
            )
        chosen |= {pod.key: pod for pod in envoys}
    return tuple(chosen.values())


def named(name: str, spec: FaultSpec, model: MeshModel, *, key: str) -> list[Pod]:
    """The pods that one name under a key of the fault means; ScenarioError where there are none."""
    return _find(name, spec, model, key=key)


def pods_of(names: Sequence[str], spec: FaultSpec, model: MeshModel, *, key: str) -> list[Pod]:
    """The pods that names mean, each once; `key` is where the names stand."""
    if ANYWHERE in names:
        return list(model.pods)
    found = [pod for name in names for pod in _find(name, spec, model, key=key)]
    return list({pod.key: pod for pod in found}.values())


def service_called(host: str, namespace: str, model: MeshModel) -> Service | None:
    """The Service that a caller in a namespace means by a host name."""
    for service in model.services:
        full = f"{service.name}.{service.namespace}"
        if host in (service.host, full, f"{full}.svc") or (host, namespace) == (
            service.name,
            service.namespace,
        ):
            return service
    return None


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
