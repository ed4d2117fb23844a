"""Whoever calls from outside the mesh: a place without sidecar, of which neither Kubernetes nor istiod knows.

outside 203.0.113.2 ──► external address, node port or cluster IP of a gateway's Service ──► gateway
"""

from __future__ import annotations

from meshtest.errors import ScenarioError
from meshtest.mesh.model import MeshModel, Pod, PodKind, Service

OUTSIDE = "outside"
"""What it is called as a caller, unless a workload has this name."""
ADDRESS = "203.0.113.2"
"""Of TEST-NET-3 (RFC 5737), as far from pods and Services as a client on the Internet."""
GATEWAY = "gateway"
"""As the address of its requests: the Service of the mesh's one gateway."""


def outside_pod() -> Pod:
    """The place that calls from outside."""
    return Pod(
        namespace="",
        name=OUTSIDE,
        workload=OUTSIDE,
        workload_kind="",
        ip=ADDRESS,
        kind=PodKind.PLAIN,
        labels={},
    )


def entrance(model: MeshModel) -> str:
    """The full name of the Service whose gateway lets callers in; raises ScenarioError where there is not one."""
    found = [service for service in model.services if _behind_it(service, model)]
    exposed = [service for service in found if service.external_addresses] or found
    if len(exposed) != 1:
        raise ScenarioError(
            "several gateways in the mesh" if exposed else "no gateway in the mesh",
            key="address",
            expected=" or ".join(f"{service.name}.{service.namespace}" for service in exposed)
            or "manifests with a gateway",
        )
    return exposed[0].host


def _behind_it(service: Service, model: MeshModel) -> bool:
    pods = model.pods_behind(service)
    return bool(pods) and all(pod.kind is PodKind.GATEWAY for pod in pods)
