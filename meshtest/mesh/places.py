"""From a message about an object to the line that the user wrote."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from meshtest.mesh.kinds import group_of
from meshtest.mesh.yaml_source import nearest_location

if TYPE_CHECKING:
    from meshtest.errors import Location
    from meshtest.mesh.model import Manifest, MeshModel

MADE_SLICE = re.compile(r"(.+)-endpoints-[0-9]+\Z")


class Reference(Protocol):
    """What names an object."""

    @property
    def api_version(self) -> str:
        """Its `apiVersion`."""

    @property
    def kind(self) -> str:
        """Its kind."""

    @property
    def namespace(self) -> str:
        """Its namespace, or the empty string."""

    @property
    def name(self) -> str:
        """Its name."""


def locate(model: MeshModel, ref: Reference, path: str = "") -> Location | None:
    """Where the field `path` of an object stands, or its nearest written parent, or the object itself.

    Pods and EndpointSlices that were made stand where their workload or Service does; None for what no
    manifest says.
    """
    group = group_of(ref.api_version)
    manifest = find(model, group, ref.kind, ref.namespace, ref.name)
    if manifest is None:
        manifest, path = _origin(model, ref, path)
    if manifest is None:
        return None
    return nearest_location(manifest.lines, as_written(path), manifest.location)


def find(model: MeshModel, group: str, kind: str, namespace: str, name: str) -> Manifest | None:
    """The manifest of an object."""
    wanted = (group, kind, namespace, name)
    for manifest in model.manifests:
        ref = manifest.ref
        if (group_of(ref.api_version), ref.kind, ref.namespace, ref.name) == wanted:
            return manifest
    return None


def as_written(path: str) -> str:
    """A path as line maps have it: `spec.http[0]`, from forms such as `.spec.http[0]` or `spec/http/0`."""
    if "/" in path and "[" not in path:
        path = ".".join(part for part in path.split("/") if part)
    path = re.sub(r"\.(\d+)(?=\.|\Z)", r"[\1]", path)
    return re.sub(r"\[\"?'?([A-Za-z_$][A-Za-z0-9_$-]*)'?\"?\]", r".\1", path).removeprefix("$").strip(".")


def _origin(model: MeshModel, ref: Reference, path: str) -> tuple[Manifest | None, str]:
    if ref.kind == "Pod":
        pod = model.pod(f"{ref.namespace}/{ref.name}")
        if pod is not None:
            group = "" if pod.workload_kind == "Pod" else "apps"
            return find(model, group, pod.workload_kind, pod.namespace, pod.workload), f"spec.template.{path}"
    if ref.kind == "EndpointSlice" and (made := MADE_SLICE.match(ref.name)):
        return find(model, "", "Service", ref.namespace, made[1]), ""
    return None, path
