"""What is done to the mesh while its faults are in force and its traffic runs: manifests applied, objects deleted.

    changes:
      - apply: locked.yaml                          # a file, folder or glob; the manifest itself; a list of either
      - delete: AuthorizationPolicy/locked          # as kubectl names it
        at: 2s                                      # on the clock of the traffic

Without `at` a change is made before the first request, once the faults without a time are in force.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from meshtest.errors import ScenarioError, nearest
from meshtest.mesh.manifests import DEFAULT_NAMESPACE, load, manifests_of, merge
from meshtest.mesh.yaml_lines import lines_below
from meshtest.mesh.yaml_source import Document
from meshtest.scenario.fields import Key, Shape, key, list_of, record, shown
from meshtest.scenario.scalars import duration, slug, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from meshtest.errors import Location
    from meshtest.mesh.model import Manifest, ObjectRef
    from meshtest.scenario.fields import Spot


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """An object as `delete:` names it."""

    kind: str
    name: str
    namespace: str
    location: Location | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"

    def means(self, ref: ObjectRef) -> bool:
        """Whether it is this one; an object of no namespace needs none."""
        return (ref.kind, ref.name) == (self.kind, self.name) and ref.namespace in ("", self.namespace)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSpec:
    """One change: something is applied, or something is deleted."""

    location: Location
    name: str = ""
    apply: tuple[Manifest, ...] = ()
    delete: tuple[Named, ...] = ()
    at: float | None = None
    """Seconds from the start of the traffic; None: before it."""

    @property
    def words(self) -> str:
        """`apply AuthorizationPolicy default/locked`."""
        if self.apply:
            return f"apply {', '.join(str(manifest.ref) for manifest in self.apply)}"
        return f"delete {', '.join(map(str, self.delete))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What `apply:` says, before it is read: a path, or a manifest itself."""

    value: Any
    spot: Spot


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A change before its files are read."""

    location: Location | None = None
    name: str = ""
    apply: tuple[Source, ...] = ()
    delete: tuple[Named, ...] = ()
    at: float | None = None


def read_changes(
    written: Iterable[Written], paths: Callable[[str, Spot], Sequence[Path]]
) -> list[ChangeSpec]:
    """The changes with their manifests; `paths` finds what a path of the scenario means."""
    return [
        ChangeSpec(
            location=each.location,  # type: ignore[arg-type]  # every one that was read has its place
            name=each.name,
            apply=tuple(manifest for source in each.apply for manifest in _manifests(source, paths)),
            delete=each.delete,
            at=each.at,
        )
        for each in written
    ]


def _manifests(source: Source, paths: Callable[[str, Spot], Sequence[Path]]) -> list[Manifest]:
    if isinstance(source.value, str):
        # what nothing acts on is refused where the whole mesh is judged
        return load(paths(source.value, source.spot), allow_unsupported=True)
    spot = source.spot
    lines = lines_below(spot.document.lines, spot.path)
    return manifests_of([Document(value=source.value, location=spot.location, lines=lines)])


def in_order(changes: Sequence[ChangeSpec]) -> list[ChangeSpec]:
    """As they are made: those without a time first, then by the clock, at one moment in the order of the list."""
    return sorted(changes, key=lambda each: -1.0 if each.at is None else each.at)


def states(changes: Sequence[ChangeSpec], manifests: Sequence[Manifest]) -> Iterator[Sequence[Manifest]]:
    """What the cluster holds after each change.

    Raises ScenarioError where one deletes what is not there.
    """
    held = list(manifests)
    for change in in_order(changes):
        gone = [find(named, held).ref for named in change.delete]
        held = merge((each for each in held if each.ref not in gone), change.apply)
        yield held


def find(named: Named, held: Sequence[Manifest], key: str = "changes.delete") -> Manifest:
    """The manifest that `delete:` means."""
    found = next((each for each in held if named.means(each.ref)), None)
    if found is None:
        alike = sorted(str(each.ref) for each in held if each.ref.kind == named.kind)
        raise ScenarioError(
            f"{named} is not in the mesh, so it cannot be deleted",
            location=named.location,
            key=key,
            expected=f"one of {', '.join(alike)}" if alike else "an object of its manifests and policies",
            nearest=nearest(str(named), alike),
        )
    return found


def named(changes: Sequence[ChangeSpec]) -> tuple[ChangeSpec, ...]:
    """The same, each with a name."""
    free = ("change" if len(changes) == 1 else f"change-{number}" for number in range(1, len(changes) + 1))
    return tuple(replace(each, name=each.name or name) for each, name in zip(changes, free, strict=True))


def distinct(changes: Sequence[ChangeSpec], spot: Spot) -> tuple[ChangeSpec, ...]:
    """The same, each with a name of its own."""
    result = named(changes)
    for index, each in enumerate(result):
        if any(each.name == other.name for other in result[:index]):
            raise spot.item(index).error(f"{each.name!r} is the name of another change", expected="its own")
    return result


def _read_source(value: Any, spot: Spot) -> Source:
    if not isinstance(value, (str, dict)) or not value:
        raise spot.error(f"{shown(value)} is no manifest", expected=_SOURCE_EXPECTED)
    return Source(value=value, spot=spot)


def object_named(text: str, location: Location | None, key: str) -> Named:
    """The object that a text names, as kubectl does."""
    parts = text.split("/")
    if len(parts) not in (2, 3) or not all(parts):
        raise ScenarioError(f"{text!r} names no object", location=location, key=key, expected=_NAMED_EXPECTED)
    namespace = parts[1] if len(parts) == 3 else DEFAULT_NAMESPACE
    return Named(kind=parts[0], name=parts[-1], namespace=namespace, location=location)


def _read_named(value: Any, spot: Spot) -> Named:
    if not isinstance(value, str):
        raise spot.error(f"{shown(value)} names no object", expected=_NAMED_EXPECTED)
    return object_named(value, spot.location, spot.path)


def _one_of_them(change: Written, spot: Spot) -> None:
    if bool(change.apply) == bool(change.delete):
        problem = (
            "apply and delete both stand here" if change.apply else "neither apply nor delete stands here"
        )
        raise spot.error(problem, expected="one of them for each item")


_SOURCE_EXPECTED = "a path, relative to this file, or a manifest"
_NAMED_EXPECTED = "KIND/NAME or KIND/NAMESPACE/NAME"
_SOURCE: Shape[Source] = Shape(
    expected=_SOURCE_EXPECTED,
    read=_read_source,
    schema={
        "anyOf": [
            text().schema,
            {
                "type": "object",
                "properties": {
                    "apiVersion": text().schema,
                    "kind": text().schema,
                    "metadata": {"type": "object"},
                },
                "required": ["apiVersion", "kind", "metadata"],
            },
        ]
    },
)
_NAMED: Shape[Named] = Shape(
    expected=_NAMED_EXPECTED,
    read=_read_named,
    schema={"type": "string", "pattern": "^[^/]+/[^/]+(/[^/]+)?$"},
)
_KEYS: dict[str, Key] = {
    "apply": key("apply", list_of(_SOURCE)),
    "delete": key("delete", list_of(_NAMED)),
    "at": key("at", duration(zero=True)),
    "name": key("name", slug("name of a change")),
}
_WRITTEN = record(Written, _KEYS, verify=_one_of_them)
CHANGE: Shape[Written] = Shape(
    expected="a change: apply or delete, and at",
    read=lambda value, spot: replace(_WRITTEN.read(value, spot), location=spot.location),
    schema={**_WRITTEN.schema, "oneOf": [{"required": ["apply"]}, {"required": ["delete"]}]},
)
CHANGES = list_of(CHANGE, one=False, empty=True)
