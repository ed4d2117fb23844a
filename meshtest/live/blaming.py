"""Which object of the user an Envoy's refusal is about. Pure.

istiod's own configuration is one that Envoys take; what is put into it verbatim, by EnvoyFilters, need not be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshtest.errors import ConfigurationRejected
from meshtest.mesh.selectors import matches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshtest.mesh.model import Manifest, MeshModel, ObjectRef, Pod

_KIND = "EnvoyFilter"


def blamed(
    rejected: ConfigurationRejected, model: MeshModel, changed: Mapping[ObjectRef, Any]
) -> ConfigurationRejected:
    """The same error, with the EnvoyFilters that it must come from: those of the change, for the pods that refused."""
    found = suspects(str(rejected), model, changed)
    if not found:
        return rejected
    if len(found) == 1:
        return ConfigurationRejected(
            f"{_told(found[0])} makes a configuration that Envoy refuses: {rejected}"
        )
    listed = "".join(f"\n  {_told(each)}" for each in found)
    return ConfigurationRejected(
        f"one of these makes a configuration that Envoy refuses:{listed}\n{rejected}"
    )


def suspects(text: str, model: MeshModel, changed: Mapping[ObjectRef, Any]) -> list[Manifest]:
    """The EnvoyFilters of a change that concern a pod which a refusal names."""
    names = {(ref.namespace, ref.name) for ref in changed if ref.kind == _KIND}
    filters = [each for each in _filters(model) if (each.ref.namespace, each.ref.name) in names]
    refused = [pod for pod in model.pods if pod.has_envoy and pod.key in text]
    return [each for each in filters if any(_concerns(each, pod, model.root_namespace) for pod in refused)]


def _filters(model: MeshModel) -> Sequence[Manifest]:
    return [manifest for manifest in model.manifests if manifest.ref.kind == _KIND]


def _concerns(manifest: Manifest, pod: Pod, root: str) -> bool:
    spec = manifest.body.get("spec") or {}
    labels = (spec.get("workloadSelector") or {}).get("labels") or {}
    return manifest.ref.namespace in (pod.namespace, root) and matches(labels, pod.labels)


def _told(manifest: Manifest) -> str:
    return f"{manifest.location}: {manifest.ref}"
