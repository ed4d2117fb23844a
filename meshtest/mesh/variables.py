"""The environment of a container as its manifest writes it: `env` and `envFrom`, and where the values come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshtest.errors import ManifestError, nearest
from meshtest.mesh.yaml_lines import child_path

if TYPE_CHECKING:
    from meshtest.errors import Location
    from meshtest.mesh.fields import Fields

CONFIG_MAP, SECRET, FIELD, RESOURCE = "ConfigMap", "Secret", "field", "resource"
_KEYS = {
    "configMapKeyRef": CONFIG_MAP,
    "secretKeyRef": SECRET,
    "fieldRef": FIELD,
    "resourceFieldRef": RESOURCE,
}
_WHOLE = {"configMapRef": CONFIG_MAP, "secretRef": SECRET}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a value comes from, and where that is written."""

    kind: str
    """ConfigMap, Secret, field (of the pod) or resource (a limit or request of a container)."""
    name: str = ""
    """Of the object; of a resource: the container."""
    key: str = ""
    """Of the object; of the others: which field or resource. Empty: the whole object."""
    optional: bool = False
    divisor: str = ""
    location: Location | None = field(default=None, compare=False)
    path: str = field(default="", compare=False)

    def error(self, problem: str, *, expected: str = "", near: str | None = None) -> ManifestError:
        """A ManifestError about it."""
        return ManifestError(problem, location=self.location, key=self.path, expected=expected, nearest=near)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One of `env`."""

    name: str
    value: str = ""
    source: Source | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One of `envFrom`: every key of an object."""

    source: Source
    prefix: str = ""


def variables_of(box: Fields) -> tuple[Variable, ...]:
    """The `env` of a container."""
    return tuple(
        Variable(
            name=one.text("name"),
            value=one.text("value"),
            source=_source(one, "valueFrom", _KEYS) if one.value.get("valueFrom") else None,
        )
        for one in box.items("env")
    )


def imports_of(box: Fields) -> tuple[Import, ...]:
    """The `envFrom` of a container."""
    return tuple(
        Import(prefix=one.text("prefix"), source=_chosen(one, _WHOLE, besides=("prefix",)))
        for one in box.items("envFrom")
    )


def _source(one: Fields, key: str, kinds: dict[str, str]) -> Source:
    return _chosen(one.mapping(key), kinds)


def _chosen(fields: Fields, kinds: dict[str, str], besides: tuple[str, ...] = ()) -> Source:
    """The one source that is written there."""
    named = [key for key in fields.value if key not in besides]
    if len(named) != 1 or named[0] not in kinds:
        wrong = next((key for key in named if key not in kinds), "")
        raise ManifestError(
            f"no source {wrong!r}" if wrong else f"{len(named)} sources",
            location=fields.at(wrong),
            key=child_path(fields.path, wrong) if wrong else fields.path,
            expected=f"one of {', '.join(kinds)}",
            nearest=nearest(wrong, kinds) if wrong else None,
        )
    return source_of(fields.mapping(named[0]), kinds[named[0]])


def source_of(at: Fields, kind: str) -> Source:
    """A reference to an object, a field or a resource."""
    names = {FIELD: ("", "fieldPath"), RESOURCE: ("containerName", "resource")}
    name, key = names.get(kind, ("name", "key"))
    divisor = at.value.get("divisor")
    return Source(
        kind=kind,
        name=at.text(name) if name else "",
        key=at.text(key),
        optional=at.truth("optional"),
        divisor="" if divisor is None else str(divisor),
        location=at.at(),
        path=at.path,
    )
