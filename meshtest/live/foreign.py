"""Gateways of the Gateway API that are those of another istiod: by their revision, so that they get no pod. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.live.notices import Notice
from meshtest.mesh.gateway_api import is_gateway
from meshtest.mesh.places import find, locate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest.mesh.model import Manifest, MeshModel

REVISION = "istio.io/rev"
_GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
_CLASS = "istio"


def foreign(model: MeshModel) -> Iterator[Notice]:
    """A warning for each."""
    served = {(pod.namespace, pod.labels.get(_GATEWAY_NAME)) for pod in model.pods}
    for gateway in filter(is_gateway, model.manifests):
        spec = gateway.body.get("spec") or {}
        if spec.get("gatewayClassName") != _CLASS or spec.get("addresses"):
            continue
        namespace = find(model, "", "Namespace", "", gateway.ref.namespace)
        named = next((each for each in (gateway, namespace) if each and _revision(each)), None)
        if named is not None and (gateway.ref.namespace, gateway.ref.name) not in served:
            yield Notice(
                level="warning",
                code="revision",
                message=f"it is of the revision {_revision(named)!r}, which is not this istiod's, so it gets no pod; "
                "istiod's own is what `engine_env` says as REVISION (`default` without it)",
                object=str(gateway.ref),
                location=locate(model, named.ref, f"metadata.labels[{REVISION}]"),
            )


def _revision(manifest: Manifest) -> str:
    return str((manifest.body["metadata"].get("labels") or {}).get(REVISION) or "")
