"""What a container finds on its disk because its pod mounts it: ConfigMaps, Secrets, fields of the pod, empty folders.

A claim on a persistent volume is an empty folder, as a new one is. What stands on nodes or in storage of the cluster
cannot be had here: that is an error where the container really runs, at the line of the volume.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from posixpath import join, normpath
from typing import TYPE_CHECKING, Any

from meshtest.errors import ManifestError
from meshtest.mesh.disk import Disk
from meshtest.mesh.environment import application_of, field_of, resource_of
from meshtest.mesh.held import contents
from meshtest.mesh.variables import CONFIG_MAP, FIELD, RESOURCE, SECRET, Source, source_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshtest.mesh.fields import Fields
    from meshtest.mesh.model import Container, MeshModel, Pod

_MODE = 0o644
_READ_BY_GROUP = 0o440
_OBJECTS = {"configMap": (CONFIG_MAP, "name"), "secret": (SECRET, "secretName")}
_EMPTY = ("emptyDir", "persistentVolumeClaim", "ephemeral")
_KNOWN = (*_OBJECTS, "downwardAPI", "projected", *_EMPTY)
_ALL = {"metadata.labels": "labels", "metadata.annotations": "annotations"}

Files = dict[str, tuple[bytes, int]]
"""Path -> content and mode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One source of a volume's files."""

    source: Source
    items: Mapping[str, tuple[str, int | None]] = field(default_factory=dict)
    """Key -> path and mode; empty: every key under its own name."""
    path: str = ""
    """Of the one file that a field or a resource is."""
    mode: int = _MODE


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A volume where a container mounts it."""

    path: str
    sub_path: str = ""
    parts: tuple[Part, ...] = ()
    shared: str = ""
    """The name of one that begins empty, and is the same in all containers of the pod."""
    missing: ManifestError | None = field(default=None, compare=False)
    """Why it cannot be had."""


def volumes_of(spec: Fields, box: Fields) -> tuple[Volume, ...]:
    """The mounts of a container of a pod's spec."""
    declared = {item.text("name"): item for item in spec.items("volumes")}
    return tuple(_volume(mount, declared.get(mount.text("name"))) for mount in box.items("volumeMounts"))


def disk_of(model: MeshModel, pod: Pod, box: Container | None = None, *, storage: bool = True) -> Disk:
    """What a container of a pod finds, its application's unless another one is given.

    Raises ManifestError for what is not there or cannot be had; without `storage` the latter is passed over,
    for programs that see the disk of this machine.
    """
    box = box or application_of(pod)
    files: Files = {}
    folders: list[str] = []
    shared: dict[str, str] = {}
    for volume in box.volumes if box else ():
        if volume.missing is not None:
            if storage:
                raise volume.missing
            continue
        found = {path: file for part in volume.parts for path, file in _files(model, pod, part).items()}
        if volume.shared:
            shared[volume.path] = volume.shared
        if not volume.sub_path:
            folders.append(volume.path)
            files |= {join(volume.path, path): file for path, file in found.items()}
        elif volume.sub_path in found:
            files[volume.path] = found[volume.sub_path]
        else:
            folders.append(volume.path)
            below = f"{volume.sub_path}/"
            files |= {
                join(volume.path, path.removeprefix(below)): file
                for path, file in found.items()
                if path.startswith(below)
            }
    group = box.group if box else None
    if group is not None:  # as the kubelet has it (kubernetes: pkg/volume/volume_linux.go)
        files = {path: (content, mode | _READ_BY_GROUP) for path, (content, mode) in files.items()}
    return Disk(files=files, folders=tuple(folders), group=group, shared=shared)


def _files(model: MeshModel, pod: Pod, part: Part) -> Files:
    source = part.source
    if source.kind == FIELD:
        return {part.path: (_field(pod, source.key).encode(), part.mode)}
    if source.kind == RESOURCE:
        return {part.path: (resource_of(pod, source).encode(), part.mode)}
    found = contents(model, pod.namespace, source)
    if found is None:
        return {}
    if not part.items:
        return {key: (content, part.mode) for key, content in found.items()}
    absent = [key for key in part.items if key not in found]
    if absent and not source.optional:
        raise source.error(
            f"{source.kind} {pod.namespace}/{source.name} has no key {absent[0]!r}",
            expected=f"one of {', '.join(sorted(found))}",
        )
    return {
        path: (found[key], part.mode if mode is None else mode)
        for key, (path, mode) in part.items.items()
        if key in found
    }


def _field(pod: Pod, path: str) -> str:
    if path not in _ALL:
        return field_of(pod, path)
    table: Mapping[str, str] = getattr(pod, _ALL[path])
    return "".join(f'{key}="{value}"\n' for key, value in sorted(table.items()))


def _volume(mount: Fields, declared: Fields | None) -> Volume:
    path, sub_path = normpath(mount.text("mountPath")), mount.text("subPath")
    if declared is None:
        # Of a StatefulSet's claims; what else is declared nowhere no cluster takes.
        claimed = mount.manifest.ref.kind == "StatefulSet"
        problem = None if claimed else mount.error("name", f"no volume {mount.text('name')!r}")
        return Volume(path=path, sub_path=sub_path, shared=_shared(mount), missing=problem)
    kind = next((key for key in declared.value if key != "name"), "emptyDir")
    if kind in _EMPTY:
        return Volume(path=path, shared=_shared(mount))
    try:
        parts = tuple(_parts(declared, kind))
    except ManifestError as error:
        return Volume(path=path, missing=error)
    return Volume(path=path, sub_path=sub_path, parts=parts)


def _shared(mount: Fields) -> str:
    """A part of a volume alone is a folder of its own here."""
    return "" if mount.text("subPath") or mount.text("subPathExpr") else mount.text("name")


def _parts(declared: Fields, kind: str) -> Iterator[Part]:
    if kind != "projected":
        yield from _part(declared, kind, _MODE)
        return
    projected = declared.mapping(kind)
    mode = projected.whole("defaultMode", _MODE)
    for one in projected.items("sources"):
        for each in one.value:
            yield from _part(one, each, mode)


def _part(holder: Fields, kind: str, usual: int) -> Iterator[Part]:
    if kind not in _KNOWN[:3]:
        raise holder.error(
            kind, f"a volume of kind {kind} cannot be had here", expected=f"one of {', '.join(_KNOWN)}"
        )
    at = holder.mapping(kind)
    mode = at.whole("defaultMode", usual)
    if kind == "downwardAPI":
        for item in at.items("items"):
            key, sort = ("fieldRef", FIELD) if item.value.get("fieldRef") else ("resourceFieldRef", RESOURCE)
            yield Part(
                source=source_of(item.mapping(key), sort),
                path=item.text("path"),
                mode=item.whole("mode", mode),
            )
        return
    sort, name = _OBJECTS[kind]
    items = {one.text("key"): (one.text("path"), _own_mode(one)) for one in at.items("items")}
    source = Source(
        kind=sort,
        name=at.text(name) or at.text("name"),
        optional=at.truth("optional"),
        location=at.at(),
        path=at.path,
    )
    yield Part(source=source, items=items, mode=mode)


def _own_mode(item: Fields) -> int | None:
    given: Any = item.value.get("mode")
    return None if given is None else item.whole("mode", 0)
