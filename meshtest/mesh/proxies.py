"""The Envoys of a mesh, as the engine wants to be told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshtest.mesh.model import PodKind
from meshtest.mesh.proxy_config import proxy_name
from meshtest.mesh.rbac import readers_of_secrets

if TYPE_CHECKING:
    from meshtest.mesh.model import MeshModel, Pod


def engine_proxies(model: MeshModel) -> list[dict[str, Any]]:
    """Every pod with an Envoy; the node's metadata is added by who makes its bootstrap."""
    proxies = [pod for pod in model.pods if pod.has_envoy]
    accounts = {(pod.namespace, pod.service_account) for pod in proxies}
    readers = readers_of_secrets(model.manifests, accounts)
    return [_proxy(pod, (pod.namespace, pod.service_account) in readers) for pod in proxies]


def _proxy(pod: Pod, reads_secrets: bool) -> dict[str, Any]:  # noqa: FBT001 - one of many fields
    return {
        "id": pod.node_id,
        "ip": pod.ip,
        "namespace": pod.namespace,
        "labels": dict(pod.labels),
        "annotations": dict(pod.annotations),
        "serviceAccount": pod.service_account,
        "readsSecrets": reads_secrets or pod.kind is PodKind.GATEWAY,
        "cluster": proxy_name(pod),
        "workload": pod.workload,
        "locality": pod.locality,
    }
