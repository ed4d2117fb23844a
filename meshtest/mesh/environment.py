"""The environment that a pod's application finds: what its manifest says, as the kubelet makes it of that. Pure.

Services of the namespace ─► envFrom ─► env, in turn: text with $(NAME) of earlier ones │ fields of the pod │
                                        keys of ConfigMaps and Secrets
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from meshtest.mesh.held import content, contents
from meshtest.mesh.injection import PROXY_CONTAINER
from meshtest.mesh.quantities import quantity_of
from meshtest.mesh.service_links import service_links
from meshtest.mesh.variables import FIELD, RESOURCE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.mesh.model import Container, MeshModel, Pod
    from meshtest.mesh.variables import Source

_KEYED = re.compile(r"metadata\.(labels|annotations)\['(.*)'\]")
_REFERENCE = re.compile(r"\$(?:\$|\(([A-Za-z_.-][A-Za-z0-9_.-]*)\))")


def application_of(pod: Pod) -> Container | None:
    """The container of the application: the first that is not the sidecar's."""
    return next((box for box in pod.containers if box.name != PROXY_CONTAINER), None)


def environment_of(model: MeshModel, pod: Pod, box: Container | None = None) -> dict[str, str]:
    """What the manifest sets for a container of a pod, its application's unless said otherwise.

    Raises ManifestError for what is not there, where a cluster would not start the container.
    """
    box = box or application_of(pod)
    if box is None:
        return {}
    imported: dict[str, str] = {}
    for one in box.imports:
        found = contents(model, pod.namespace, one.source) or {}
        imported |= {f"{one.prefix}{key}": text.decode("utf-8", "replace") for key, text in found.items()}
    links = service_links(model.services, pod.namespace) if box.service_links else {}
    own: dict[str, str] = {}
    for variable in box.variables:
        source = variable.source
        value = expanded(variable.value, {**links, **own}) if source is None else _value(model, pod, source)
        if value is not None:
            own[variable.name] = value
    return {**links, **imported, **own}


def expanded(text: str, known: Mapping[str, str]) -> str:
    """A text with `$(NAME)` replaced where the name is known; `$$` is a dollar."""
    return _REFERENCE.sub(lambda match: known.get(match[1], match[0]) if match[1] else "$", text)


def _value(model: MeshModel, pod: Pod, source: Source) -> str | None:
    if source.kind == FIELD:
        return field_of(pod, source.key)
    if source.kind == RESOURCE:
        return resource_of(pod, source)
    found = content(model, pod.namespace, source)
    return None if found is None else found.decode("utf-8", "replace")


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


def resource_of(pod: Pod, source: Source) -> str:
    """A limit or request of a container, in units of the divisor, rounded up; raises ManifestError without one."""
    box = next((box for box in pod.containers if box.name == source.name), application_of(pod))
    value = box.resources.get(source.key) if box else None
    divisor = quantity_of(source.divisor or "1")
    if value is None or not divisor:
        problem = f"the container has no {source.key}" if value is None else f"no divisor {source.divisor!r}"
        raise source.error(problem, expected="resources that the manifest states")
    return str(math.ceil(round(value / divisor, 9)))
