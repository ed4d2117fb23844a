"""From files, folders and text to manifests, each with the line of every key.

sources ──► sources.read ──► text ──► yaml_source.documents ──► manifests_of ──► Manifest
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshtest.errors import ManifestError
from meshtest.mesh import names
from meshtest.mesh.kinds import Treatment, find, group_of, is_cluster_scoped, sort
from meshtest.mesh.model import Manifest, ObjectRef
from meshtest.mesh.sources import read
from meshtest.mesh.yaml_lines import child_path, lines_below
from meshtest.mesh.yaml_source import Document, documents

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from meshtest.mesh.sources import Source

OWN_GROUP = "meshtest.dev"
DEFAULT_NAMESPACE = "default"


def load(
    sources: Iterable[Source], *, base: Path | None = None, allow_unsupported: bool = False
) -> list[Manifest]:
    """Every object of the sources, in their order.

    A source is a file, a folder (its *.yaml, *.yml and *.json, as `kubectl apply -f` takes it), a glob, "-"
    for standard input, YAML text itself, a mapping, or a list of those. Raises ManifestError with file and line
    for what a cluster could not read.

    Args:
        sources: what to read; a file that two sources name is read once.
        base: the folder that relative paths start from; the current one if not given.
        allow_unsupported: whether kinds that nothing acts on are let through.
    """
    found: list[Manifest] = []
    for text in read(sources, base=base):
        parts = documents(text.text, text.name)
        if not parts:
            raise ManifestError("no object in this file", location=text.start)
        found += manifests_of(parts)
    return _judged(found, allow_unsupported=allow_unsupported)


def load_in_turn(sources: Iterable[Source], *, allow_unsupported: bool = False) -> list[Manifest]:
    """What a cluster holds after `kubectl apply -f` of each source: of an object in two of them, the later wins."""
    found: list[Manifest] = []
    for source in sources:
        found = merge(found, load([source], allow_unsupported=allow_unsupported))
    return found


def load_text(
    text: str, name: str = "<text>", first_line: int = 1, *, allow_unsupported: bool = False
) -> list[Manifest]:
    """Every object of a text that begins on `first_line` of the file `name`."""
    found = manifests_of(documents(text, name, first_line=first_line))
    return _judged(found, allow_unsupported=allow_unsupported)


def _judged(found: list[Manifest], *, allow_unsupported: bool) -> list[Manifest]:
    unique(found)
    sort(found, allow_unsupported=allow_unsupported)
    return found


def split(
    parts: Iterable[Document], *, allow_unsupported: bool = False
) -> tuple[list[Document], list[Manifest]]:
    """Scenarios and other documents of meshtest's own, and the manifests that stand beside them."""
    own, manifests = [], []
    for part in parts:
        if is_own(part):
            own.append(part)
        else:
            manifests.append(part)
    return own, _judged(manifests_of(manifests), allow_unsupported=allow_unsupported)


def is_own(part: Document) -> bool:
    """Whether a document is a scenario or another of meshtest's own kinds."""
    version = part.value.get("apiVersion") if isinstance(part.value, dict) else None
    return isinstance(version, str) and group_of(version) == OWN_GROUP


def manifests_of(parts: Iterable[Document]) -> list[Manifest]:
    """The objects of documents; lists are taken apart."""
    return [manifest for part in parts for item in _items(part) for manifest in [_manifest(item)]]


def unique(manifests: Iterable[Manifest]) -> None:
    """Raise ManifestError if one object stands in two places."""
    seen: dict[tuple[str, str, str, str], Manifest] = {}
    for manifest in manifests:
        first = seen.setdefault(identity(manifest.ref), manifest)
        if first is not manifest:
            problem = f"{manifest.ref} is defined twice; the other stands at {first.location}"
            raise ManifestError(problem, location=manifest.location)


def identity(ref: ObjectRef) -> tuple[str, str, str, str]:
    """What tells objects apart in a cluster: the group, not the version."""
    return group_of(ref.api_version), ref.kind, ref.namespace, ref.name


def merge(old: Iterable[Manifest], new: Iterable[Manifest]) -> list[Manifest]:
    """What a cluster holds after `new` was applied over `old`: the later wins, in the place of the old."""
    merged = {identity(manifest.ref): manifest for manifest in old}
    merged.update({identity(manifest.ref): manifest for manifest in new})
    return list(merged.values())


def _items(part: Document) -> list[Document]:
    body = part.value
    if not isinstance(body, dict):
        what = "a list" if isinstance(body, list) else repr(body)
        raise ManifestError(f"this document is {what}", location=part.location, expected="an object")
    kind, items = body.get("kind"), body.get("items")
    if not (isinstance(kind, str) and kind.endswith("List") and "items" in body):
        return [part]
    if not isinstance(items, list):
        raise ManifestError("not a list", location=part.at("items"), key="items")
    return [
        nested
        for index, item in enumerate(items)
        for at in [f"items[{index}]"]
        for nested in _items(Document(value=item, location=part.at(at), lines=lines_below(part.lines, at)))
    ]


def _manifest(part: Document) -> Manifest:
    body = part.value
    api_version, kind = (
        _word(part, "apiVersion", "v1 or apps/v1"),
        _word(part, "kind", "Service or Deployment"),
    )
    if is_own(part):
        raise _error(part, "kind", f"{kind} of {api_version} is no manifest; run its file with pytest")
    metadata = body.get("metadata")
    if metadata is None and _is_refused(api_version, kind):
        metadata = {
            "name": kind.lower()
        }  # such as an IstioOperator for istioctl; that it is refused is said later
    if not isinstance(metadata, dict):
        problem = "missing" if metadata is None else "not a mapping"
        raise _error(part, "metadata", problem, "metadata with a name")
    scoped = is_cluster_scoped(api_version, kind)
    name = _name(part, metadata, api_version=api_version, kind=kind)
    namespace = "" if scoped else _namespace(part, metadata)
    _check_texts(part, metadata)
    rest = {key: value for key, value in metadata.items() if key not in {"name", "namespace"}}
    place = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return Manifest(
        ref=ObjectRef(api_version=api_version, kind=kind, namespace=namespace, name=name),
        body={**body, "metadata": {**place, **rest}},
        location=part.location,
        lines=part.lines,
    )


def _is_refused(api_version: str, kind: str) -> bool:
    known = find(api_version, kind)
    return known is not None and known.treatment is Treatment.REFUSED


def _word(part: Document, key: str, example: str) -> str:
    value = part.value.get(key)
    if value is None:
        hint = " (this belongs to a chart; render it with `helm template`)" if _is_chart(part) else ""
        raise _error(part, key, f"missing{hint}", f"one such as {example}")
    if not isinstance(value, str) or not value:
        raise _error(part, key, f"{value!r} is not a text", f"one such as {example}")
    return value


def _is_chart(part: Document) -> bool:
    return part.location.file.rpartition("/")[2] in {"Chart.yaml", "values.yaml"}


def _name(part: Document, metadata: dict[str, Any], *, api_version: str, kind: str) -> str:
    name = metadata.get("name")
    if name is None and "generateName" in metadata:
        generated = "a generated name cannot be applied again"
        raise _error(part, "metadata.generateName", generated, "metadata.name")
    if not isinstance(name, str) or not name:
        found = "missing" if name is None else f"{name!r} is not a text"
        raise _error(part, "metadata.name", found, "a name")
    if find(api_version, kind) and (problem := names.object_name_problem(kind, name)):
        raise _error(part, "metadata.name", problem)
    return name


def _namespace(part: Document, metadata: dict[str, Any]) -> str:
    namespace = metadata.get("namespace")
    if namespace in (None, ""):
        return DEFAULT_NAMESPACE
    if not isinstance(namespace, str):
        raise _error(part, "metadata.namespace", f"{namespace!r} is not a text")
    if problem := names.label_problem(namespace):
        raise _error(part, "metadata.namespace", problem)
    return namespace


def _check_texts(part: Document, metadata: dict[str, Any]) -> None:
    for field in ("labels", "annotations"):
        texts = metadata.get(field)
        if texts is not None and not isinstance(texts, dict):
            raise _error(part, f"metadata.{field}", "not a mapping")
        for key, value in (texts or {}).items():
            if problem := names.text_problem(field, key, value):
                raise _error(part, child_path(f"metadata.{field}", key), problem)


def _error(part: Document, key: str, problem: str, expected: str = "") -> ManifestError:
    return ManifestError(problem, location=part.at(key), key=key, expected=expected)
