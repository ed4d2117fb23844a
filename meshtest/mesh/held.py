"""ConfigMaps and Secrets that a mesh holds, for what pods take from them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from meshtest.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.mesh.model import MeshModel
    from meshtest.mesh.variables import Source


ROOT_CONFIG_MAP = "istio-ca-root-cert"
"""What istiod writes into every namespace: whom the workloads trust."""


def root_config_map(model: MeshModel) -> dict[str, Any]:
    """It, as a pod finds it."""
    return {"kind": "ConfigMap", "data": {"root-cert.pem": model.root}}


def contents(model: MeshModel, namespace: str, source: Source) -> dict[str, bytes] | None:
    """Every key of an object with its content; None for an optional one that is not there.

    Raises ManifestError where a cluster would not start the container.
    """
    body = _find(model, namespace, source)
    if body is None:
        return None
    data = body.get("data") or {}
    if body["kind"] == "Secret":
        return {key: base64.b64decode(text) for key, text in data.items()}
    binary = {key: base64.b64decode(text) for key, text in (body.get("binaryData") or {}).items()}
    return {**{key: str(text).encode() for key, text in data.items()}, **binary}


def content(model: MeshModel, namespace: str, source: Source) -> bytes | None:
    """The one key that is meant; None for an optional one that is not there."""
    found = contents(model, namespace, source)
    if found is not None and source.key in found:
        return found[source.key]
    if found is None or source.optional:
        return None
    raise source.error(
        f"{source.kind} {namespace}/{source.name} has no key {source.key!r}",
        expected=f"one of {', '.join(sorted(found))}" if found else "",
        near=nearest(source.key, found),
    )


def _find(model: MeshModel, namespace: str, source: Source) -> Mapping[str, Any] | None:
    here = {
        body["metadata"]["name"]: body
        for body in model.objects
        if body["kind"] == source.kind and body["metadata"].get("namespace") == namespace
    }
    if (source.kind, source.name) == ("ConfigMap", ROOT_CONFIG_MAP) and source.name not in here:
        return root_config_map(model)
    if source.name in here or source.optional:
        return here.get(source.name)
    raise source.error(
        f"no {source.kind} {source.name!r} in namespace {namespace}",
        expected=f"a {source.kind} among the manifests",
        near=nearest(source.name, here),
    )
