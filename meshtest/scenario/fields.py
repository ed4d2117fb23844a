"""Reads what a user wrote, key by key, so that every mistake is one message with its line.

value + Spot ──Shape.read──► typed value, or one ScenarioError
          Shape.schema ────► the same knowledge as JSON Schema, for editors
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from meshtest.errors import Location, ScenarioError, nearest
from meshtest.mesh.yaml_lines import child_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from meshtest.mesh.yaml_source import Document

T = TypeVar("T")
K = TypeVar("K")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A place in a document: its key path, and from it the line."""

    document: Document
    path: str = ""

    def key(self, name: str) -> Spot:
        """The place of a key below this one."""
        return Spot(document=self.document, path=child_path(self.path, name))

    def item(self, index: int) -> Spot:
        """The place of a list's item."""
        return Spot(document=self.document, path=f"{self.path}[{index}]")

    @property
    def location(self) -> Location:
        """The file and line."""
        return self.document.at(self.path)

    def error(self, problem: str, *, expected: str = "", nearest: str | None = None) -> ScenarioError:
        """What is raised for a mistake at this place."""
        return ScenarioError(
            problem, location=self.location, key=self.path, expected=expected, nearest=nearest
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape(Generic[T]):
    """What may stand at a place: how it is read, and how a JSON Schema says it."""

    expected: str
    read: Callable[[Any, Spot], T]
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key of a mapping and the attribute that it fills."""

    attribute: str
    shape: Shape[Any]
    required: bool = False


def key(attribute: str, shape: Shape[Any], *, required: bool = False) -> Key:
    """A key, in one line of a table."""
    return Key(attribute=attribute, shape=shape, required=required)


class Fields:
    """A mapping of which each key is taken once; `finish` refuses the keys that nobody took."""

    __slots__ = ("known", "left", "spot")

    def __init__(self, value: Any, spot: Spot, *, expected: str = "a mapping") -> None:
        if not isinstance(value, dict):
            raise spot.error(f"{shown(value)} stands where a mapping must", expected=expected)
        self.left: dict[str, Any] = dict(value)
        self.spot = spot
        self.known: set[str] = set()

    def take(self, name: str, shape: Shape[T], default: K = None) -> T | K:  # type: ignore[assignment]  # None is a K
        """The value of an optional key."""
        self.known.add(name)
        if name not in self.left:
            return default
        return shape.read(self.left.pop(name), self.spot.key(name))

    def require(self, name: str, shape: Shape[T]) -> T:
        """The value of a key that must be there."""
        self.known.add(name)
        if name not in self.left:
            guess = nearest(name, self.left)
            hint = f"; is it the {guess!r} that stands here?" if guess else ""
            raise self.spot.error(f"misses {name!r}{hint}", expected=shape.expected)
        return shape.read(self.left.pop(name), self.spot.key(name))

    def finish(self) -> None:
        """Refuse what was not taken."""
        for name in self.left:
            raise unknown(self.spot.key(name), "key", name, self.known)


def unknown(spot: Spot, what: str, name: str, known: Iterable[str]) -> ScenarioError:
    """The error for a word that is none of the known ones."""
    words = sorted(known)
    return spot.error(f"unknown {what} {name!r}", expected=any_of(words), nearest=nearest(name, words))


def any_of(words: Iterable[str]) -> str:
    """`a, b or c`."""
    listed = list(words)
    if len(listed) < 2:
        return "".join(listed)
    return f"{', '.join(listed[:-1])} or {listed[-1]}"


def shown(value: Any) -> str:
    """A value as a message shows it."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)


def list_of(item: Shape[T], *, one: bool = True, empty: bool = False) -> Shape[tuple[T, ...]]:
    """A list; with `one`, a single item may stand without its list."""

    def read(value: Any, spot: Spot) -> tuple[T, ...]:
        if not isinstance(value, list):
            if one:
                return (item.read(value, spot),)
            raise spot.error(f"{shown(value)} stands where a list must", expected=expected)
        if not value and not empty:
            raise spot.error("the list is empty", expected=expected)
        return tuple(item.read(each, spot.item(index)) for index, each in enumerate(value))

    expected = f"{item.expected}, or a list of them" if one else f"a list: {item.expected}"
    many: dict[str, Any] = {"type": "array", "items": item.schema}
    if not empty:
        many["minItems"] = 1
    return Shape(expected=expected, read=read, schema={"anyOf": [item.schema, many]} if one else many)


def mapping_of(value_shape: Shape[T], *, what: str, empty: bool = False) -> Shape[dict[str, T]]:
    """A mapping of the user's own keys."""

    def read(value: Any, spot: Spot) -> dict[str, T]:
        if not isinstance(value, dict):
            raise spot.error(f"{shown(value)} stands where a mapping must", expected=what)
        if not value and not empty:
            raise spot.error("the mapping is empty", expected=what)
        return {name: value_shape.read(each, spot.key(name)) for name, each in value.items()}

    schema: dict[str, Any] = {"type": "object", "additionalProperties": value_shape.schema}
    if not empty:
        schema["minProperties"] = 1
    return Shape(expected=what, read=read, schema=schema)


@dataclass(frozen=True, slots=True, kw_only=True)
class Short(Generic[T]):
    """What may stand in place of the whole mapping, and the attribute that it fills."""

    attribute: str
    shape: Shape[Any]
    constants: Mapping[str, Any] = field(default_factory=dict)


def record(
    make: Callable[..., T],
    keys: Mapping[str, Key],
    *,
    short: Short[Any] | None = None,
    verify: Callable[[T, Spot], None] | None = None,
    empty: bool = False,
) -> Shape[T]:
    """A mapping with these keys, made into a dataclass; what is not given keeps the dataclass's default."""
    wanted = f"a mapping with {any_of(keys)}" if keys else "an empty mapping"
    expected = f"{short.shape.expected}, or {wanted}" if short else wanted

    def attributes(value: Any, spot: Spot) -> dict[str, Any]:
        if short and not isinstance(value, dict):
            return {short.attribute: short.shape.read(value, spot), **short.constants}
        fields = Fields(value, spot, expected=expected)
        if not fields.left and not empty and not any(each.required for each in keys.values()):
            raise spot.error("the mapping is empty", expected=expected)
        found = take_keys(fields, keys)
        fields.finish()
        return found

    def read(value: Any, spot: Spot) -> T:
        made = make(**attributes(value, spot))
        if verify:
            verify(made, spot)
        return made

    schema = object_schema(keys, empty=empty)
    return Shape(expected=expected, read=read, schema=_either(short, schema))


def take_keys(fields: Fields, keys: Mapping[str, Key]) -> dict[str, Any]:
    """Attributes of the keys that stand in a mapping; what is not given is left out."""
    found: dict[str, Any] = {}
    by: dict[str, str] = {}
    for name, each in keys.items():
        fields.known.add(name)
        if each.required:
            value = fields.require(name, each.shape)
        elif name in fields.left:
            value = fields.take(name, each.shape)
        else:
            continue
        if each.attribute in found:
            raise fields.spot.error(
                f"{by[each.attribute]} and {name} both stand here", expected="one of them"
            )
        found[each.attribute] = value
        by[each.attribute] = name
    return found


def _either(short: Short[Any] | None, schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [short.shape.schema, schema]} if short else schema


def object_schema(keys: Mapping[str, Key], *, empty: bool = False) -> dict[str, Any]:
    """The JSON Schema of a mapping with these keys and no others."""
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: each.shape.schema for name, each in keys.items()},
        "additionalProperties": False,
    }
    if required := [name for name, each in keys.items() if each.required]:
        schema["required"] = required
    if not empty and not required:
        schema["minProperties"] = 1
    return schema
