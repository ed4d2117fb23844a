"""What the control plane's server is told before any Envoy asks: who they are, and who signs for them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from meshtest.mesh.injection import TPROXY, interception_mode
from meshtest.mesh.mounts import proxy_files
from meshtest.mesh.proxy_config import takes_roots

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.mesh.model import MeshModel, Pod


def introduction(model: MeshModel) -> Mapping[str, Any]:
    """Every Envoy with its files and the roots that it trusts besides the mesh's, and the authority of the mesh."""
    return {
        "proxies": [_envoy(model, pod) for pod in model.pods if pod.has_envoy],
        "authority": asdict(model.authority) if model.authority else None,
    }


def _envoy(model: MeshModel, pod: Pod) -> dict[str, Any]:
    return {
        "id": pod.node_id,
        "pod": pod.key,
        "workload": pod.workload_key,
        "identity": pod.identity,
        "kind": pod.kind.value,
        "native": bool(pod.proxy_image),
        "transparent": interception_mode(pod) == TPROXY,
        "files": proxy_files(model, pod),
        "roots": model.further_roots if takes_roots(pod) else "",
    }
