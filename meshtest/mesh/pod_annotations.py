"""Annotations of pods: what is wrong with them, and those of the injector that nothing here acts on. Pure."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from meshtest.errors import ManifestError
from meshtest.mesh.injection import (
    LOOPBACK_INTERFACE,
    TEMPLATES,
    TRAFFIC,
    excluded_interfaces,
    interception,
)
from meshtest.mesh.standins import plays
from meshtest.mesh.yaml_source import nearest_location

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest.mesh.model import Manifest, Pod

_BOOTSTRAP = "sidecar.istio.io/bootstrapOverride"
_KNOWN_TEMPLATES = ("sidecar", "gateway")
_PROXYLESS = "grpc-"


def check_annotations(pod: Pod, manifest: Manifest) -> None:
    """Raise ManifestError, at its line, for an annotation that cannot be read."""
    with at_annotation(manifest):
        interception(pod)
        plays(pod)


def check_unacted(pod: Pod, manifest: Manifest) -> None:
    """Raise ManifestError, at its line, for an annotation of an injected pod that nothing acts on."""
    if not pod.has_envoy:
        return
    with at_annotation(manifest):
        if _BOOTSTRAP in pod.annotations:
            raise _unacted(_BOOTSTRAP, "its Envoy starts with meshtest's own bootstrap")
        if LOOPBACK_INTERFACE in excluded_interfaces(pod.annotations):
            raise _unacted(
                TRAFFIC + "excludeInterfaces", "a pod's calls of itself are as Istio usually has them"
            )
        for name in map(str.strip, pod.annotations.get(TEMPLATES, "").split(",")):
            if name.startswith(_PROXYLESS):
                raise _unacted(TEMPLATES, f"{name!r} is gRPC without Envoy, whose agent does not run here")
            if name and name not in _KNOWN_TEMPLATES:
                raise _unacted(TEMPLATES, f"only Istio's own {' and '.join(_KNOWN_TEMPLATES)} are known here")


def _unacted(annotation: str, reason: str) -> ManifestError:
    return ManifestError(f"unsupported: {reason}", key=f"metadata.annotations[{annotation}]")


@contextmanager
def at_annotation(manifest: Manifest) -> Iterator[None]:
    """Say where the annotation of a pod stands that is wrong."""
    try:
        yield
    except ManifestError as error:
        path = error.key if manifest.ref.kind == "Pod" else f"spec.template.{error.key}"
        place = nearest_location(manifest.lines, path, manifest.location)
        raise ManifestError(error.problem, location=place, key=path) from None
