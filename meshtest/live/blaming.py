"""Which object of the user an Envoy's refusal is about. Pure.

istiod's own configuration is one that Envoys take; what is put into it verbatim, by EnvoyFilters and
TrafficExtensions, need not be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshtest.errors import ConfigurationRejected
from meshtest.mesh.selectors import matches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshtest.mesh.model import Manifest, MeshModel, ObjectRef, Pod

_SELECTORS = {"EnvoyFilter": ("workloadSelector", "labels"), "TrafficExtension": ("selector", "matchLabels")}
"""Kinds -> where their selector's labels stand."""


def blamed(
    rejected: ConfigurationRejected, model: MeshModel, changed: Mapping[ObjectRef, Any]
) -> ConfigurationRejected:
    """The same error, with the objects that it must come from: those of the change, for the pods that refused."""
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
    """The objects of a change that concern a pod which a refusal names."""
    names = {(ref.kind, ref.namespace, ref.name) for ref in changed}
    filters = [
        each for each in _verbatim(model) if (each.ref.kind, each.ref.namespace, each.ref.name) in names
    ]
    refused = [pod for pod in model.pods if pod.has_envoy and pod.key in text]
    return [each for each in filters if any(_concerns(each, pod, model.root_namespace) for pod in refused)]


def _verbatim(model: MeshModel) -> Sequence[Manifest]:
    return [manifest for manifest in model.manifests if manifest.ref.kind in _SELECTORS]


def _concerns(manifest: Manifest, pod: Pod, root: str) -> bool:
    spec = manifest.body.get("spec") or {}
    selector, key = _SELECTORS[manifest.ref.kind]
    labels = (spec.get(selector) or {}).get(key) or {}
    return manifest.ref.namespace in (pod.namespace, root) and matches(labels, pod.labels)


def _told(manifest: Manifest) -> str:
    return f"{manifest.location}: {manifest.ref}"
