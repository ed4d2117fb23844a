"""The Envoys of a mesh, as the engine wants to be told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meshtest.mesh.model import MeshModel, Pod


def engine_proxies(model: MeshModel) -> list[dict[str, Any]]:
    """Every pod with an Envoy; the node's metadata is added by who makes its bootstrap."""
    return [_proxy(pod) for pod in model.pods if pod.has_envoy]


def _proxy(pod: Pod) -> dict[str, Any]:
    return {
        "id": pod.node_id,
        "ip": pod.ip,
        "namespace": pod.namespace,
        "labels": dict(pod.labels),
        "annotations": dict(pod.annotations),
        "serviceAccount": pod.service_account,
        "cluster": f"{pod.workload}.{pod.namespace}",
        "workload": pod.workload,
        "locality": pod.locality,
    }
