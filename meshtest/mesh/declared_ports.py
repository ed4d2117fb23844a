"""Ports on which Istio's own resources call the application of a pod, whatever Services say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.mesh.fields import fields_of
from meshtest.mesh.selectors import matches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest.mesh.fields import Fields
    from meshtest.mesh.model import MeshModel, Pod

NETWORKING = "networking.istio.io/"


def declared_ports(model: MeshModel, pod: Pod) -> Iterator[tuple[int, str]]:
    """Number and Istio protocol: a ServiceEntry that selects the pod, the ingress of its Sidecar."""
    for manifest in model.manifests:
        if manifest.ref.api_version.startswith(NETWORKING) and manifest.ref.namespace == pod.namespace:
            spec = fields_of(manifest).mapping("spec")
            if manifest.ref.kind == "ServiceEntry" and _selects(spec, pod):
                yield from _of_service_entry(spec)
            elif manifest.ref.kind == "Sidecar" and _selects(spec, pod, unless_given=True):
                yield from _of_sidecar(spec)


def _selects(spec: Fields, pod: Pod, *, unless_given: bool = False) -> bool:
    if spec.value.get("workloadSelector") is None:
        return unless_given
    return matches(spec.mapping("workloadSelector").texts("labels"), pod.labels)


def _of_service_entry(spec: Fields) -> Iterator[tuple[int, str]]:
    for port in spec.items("ports"):
        yield port.whole("targetPort", 0) or port.port("number"), _protocol(port)


def _of_sidecar(spec: Fields) -> Iterator[tuple[int, str]]:
    for listener in spec.items("ingress"):
        number = listener.text("defaultEndpoint").rpartition(":")[2]
        if number.isdecimal():
            yield int(number), _protocol(listener.mapping("port"))


def _protocol(port: Fields) -> str:
    return port.text("protocol") or port.text("name").partition("-")[0]
