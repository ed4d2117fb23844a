"""The environment that a pod's application finds: its manifest's, with Kubernetes' downward API. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshtest.mesh.injection import PROXY_CONTAINER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.mesh.model import Container, Pod

_KEYED = re.compile(r"metadata\.(labels|annotations)\['(.*)'\]")
_REFERENCE = re.compile(r"\$\(([A-Za-z_.-][A-Za-z0-9_.-]*)\)")


def application_of(pod: Pod) -> Container | None:
    """The container of the application: the first that is not the sidecar's."""
    return next((box for box in pod.containers if box.name != PROXY_CONTAINER), None)


def environment_of(pod: Pod) -> dict[str, str]:
    """What the manifest sets for the application, `$(NAME)` and fields of the pod resolved."""
    box = application_of(pod)
    found: dict[str, str] = {}
    for name, value in (box.env if box else {}).items():
        found[name] = _REFERENCE.sub(lambda match: found.get(match[1], match[0]), value)
    for name, path in (box.fields if box else {}).items():
        found[name] = field_of(pod, path)
    return found


def field_of(pod: Pod, path: str) -> str:
    """A field of a pod as the downward API names it; empty where the pod has none."""
    keyed = _KEYED.fullmatch(path)
    if keyed is not None:
        table: Mapping[str, str] = pod.labels if keyed[1] == "labels" else pod.annotations
        return table.get(keyed[2], "")
    return {
        "metadata.name": pod.name,
        "metadata.namespace": pod.namespace,
        "spec.nodeName": pod.node,
        "spec.serviceAccountName": pod.service_account,
        "status.podIP": pod.ip,
        "status.podIPs": pod.ip,
    }.get(path, "")
