"""What proxies and applications find on their disks from Secrets and ConfigMaps.

A proxy finds certificates that policies name by their path: a sidecar's volumes stand in annotations
(`sidecar.istio.io/userVolume` and `userVolumeMount`, JSON), a gateway's in its pod like any container's. An application
finds the certificate that it shows to its clients.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from posixpath import join
from typing import TYPE_CHECKING, Any

from meshtest.mesh.held import ROOT_CONFIG_MAP, root_config_map
from meshtest.mesh.injection import PROXY_CONTAINER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from meshtest.mesh.fields import Fields
    from meshtest.mesh.model import MeshModel, Pod

USER_VOLUME, USER_VOLUME_MOUNT = "sidecar.istio.io/userVolume", "sidecar.istio.io/userVolumeMount"
_NAMES = {"secret": ("Secret", "secretName"), "configMap": ("ConfigMap", "name")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A Secret or ConfigMap at a path of a container's."""

    path: str
    kind: str
    name: str
    items: Mapping[str, str] = field(default_factory=dict)
    """Key -> path below; empty: every key under its own name."""
    sub_path: str = ""
    """The one file of it that stands at `path` itself."""


def mounts_of(template: Fields) -> tuple[Mount, ...]:
    """The mounts of a pod's proxy; raises ManifestError for annotations that are no JSON."""
    notes = template.mapping("metadata").mapping("annotations")
    volumes, boxes = _declared(template.mapping("spec"))
    volumes |= _json(notes, USER_VOLUME)
    mounts = [*boxes.get(PROXY_CONTAINER, ()), *_json(notes, USER_VOLUME_MOUNT).items()]
    return tuple(found for name, mount in mounts for found in _mounts(volumes.get(name) or {}, mount))


def application_mounts(template: Fields) -> tuple[Mount, ...]:
    """The mounts of a pod's application."""
    volumes, boxes = _declared(template.mapping("spec"))
    mounts = [each for name, found in boxes.items() if name != PROXY_CONTAINER for each in found]
    return tuple(found for name, mount in mounts for found in _mounts(volumes.get(name) or {}, mount))


def proxy_files(model: MeshModel, pod: Pod) -> dict[str, str]:
    """Path -> text, as far as the Secrets and ConfigMaps are there."""
    found: dict[str, str] = {}
    for mount, body in _held(model, pod, pod.mounts):
        found |= _files(mount, texts_of(body))
    return found


def server_certificate(model: MeshModel, pod: Pod) -> dict[str, str]:
    """`certificate` and `key` of the first TLS Secret that a pod's application mounts; empty without one."""
    for _, body in _held(model, pod, pod.application_mounts):
        texts = texts_of(body)
        if body["kind"] == "Secret" and texts.keys() >= {"tls.crt", "tls.key"}:
            return {"certificate": texts["tls.crt"], "key": texts["tls.key"]}
    return {}


def _held(model: MeshModel, pod: Pod, mounts: Sequence[Mount]) -> Iterator[tuple[Mount, Mapping[str, Any]]]:
    """The mounts whose Secret or ConfigMap is there, with it."""
    held = {
        (body["kind"], body["metadata"]["name"]): body
        for body in (model.objects if mounts else ())
        if body["kind"] in ("Secret", "ConfigMap") and body["metadata"].get("namespace") == pod.namespace
    }
    for mount in mounts:
        if (body := held.get((mount.kind, mount.name))) is not None:
            yield mount, body
        elif (mount.kind, mount.name) == ("ConfigMap", ROOT_CONFIG_MAP):
            yield mount, root_config_map(model)


def _declared(spec: Fields) -> tuple[dict[str, Any], dict[str, list[tuple[str, Mapping[str, Any]]]]]:
    """Volumes by their names, and what each container mounts of them."""
    volumes = {item.text("name"): item.value for item in spec.items("volumes")}
    boxes = {
        box.text("name"): [(mount.text("name"), mount.value) for mount in box.items("volumeMounts")]
        for box in spec.items("containers")
    }
    return volumes, boxes


def _files(mount: Mount, texts: Mapping[str, str]) -> dict[str, str]:
    below = {
        mount.items.get(key, key): text
        for key, text in texts.items()
        if not mount.items or key in mount.items
    }
    if mount.sub_path:
        return {mount.path: below[mount.sub_path]} if mount.sub_path in below else {}
    return {join(mount.path, name): text for name, text in below.items()}


def texts_of(body: Mapping[str, Any]) -> dict[str, str]:
    """What a Secret or ConfigMap holds."""
    data = body.get("data") or {}
    if body["kind"] == "ConfigMap":
        return {key: str(text) for key, text in data.items()}
    return {key: base64.b64decode(text).decode("utf-8", "replace") for key, text in data.items()}


def _mounts(volume: Mapping[str, Any], mount: Mapping[str, Any]) -> Iterator[Mount]:
    sources: Iterable[Mapping[str, Any]] = (volume.get("projected") or {}).get("sources") or (volume,)
    for source in sources:
        for word, (kind, key) in _NAMES.items():
            if (told := source.get(word)) is not None:
                yield Mount(
                    path=str(mount.get("mountPath", "")),
                    kind=kind,
                    name=str(told.get(key) or told.get("name") or ""),
                    items={str(item["key"]): str(item["path"]) for item in told.get("items") or ()},
                    sub_path=str(mount.get("subPath") or ""),
                )


def _json(notes: Fields, name: str) -> dict[str, Any]:
    text = notes.text(name)
    if not text:
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if isinstance(found, list) and all(isinstance(each, dict) and "name" in each for each in found):
        found = {each["name"]: each for each in found}  # the injector's template takes both
    if not isinstance(found, dict) or not all(isinstance(each, dict) for each in found.values()):
        raise notes.error(name, f"{text!r} is no JSON mapping of volumes", expected='{"NAME": {...}}')
    return found
