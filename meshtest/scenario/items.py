"""List items that are one kind of thing and the keys that all kinds share: faults and checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshtest.scenario.fields import Fields, Key, Shape, any_of, key, object_schema, take_keys, unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshtest.scenario.fields import Spot


def read_item(
    value: Any, spot: Spot, *, kinds: Mapping[str, Shape[Any]], common: Mapping[str, Key], what: str
) -> tuple[str, Any, dict[str, Any]]:
    """The kind of an item, what stands under it, and the attributes of the shared keys."""
    if isinstance(value, str) and value in kinds:
        raise spot.error(f"{value!r} stands without its value", expected=f"{value}: {kinds[value].expected}")
    fields = Fields(value, spot, expected=f"a {what}: {any_of(kinds)}")
    kind = _kind(fields, kinds, common, what)
    found = fields.take(kind, kinds[kind])
    shared = take_keys(fields, common)
    fields.finish()
    return kind, found, shared


def _kind(fields: Fields, kinds: Mapping[str, Shape[Any]], common: Mapping[str, Key], what: str) -> str:
    present = [name for name in fields.left if name in kinds]
    if len(present) > 1:
        raise fields.spot.error(
            f"{' and '.join(present)} stand in one item", expected=f"one {what} per list item"
        )
    if present:
        return present[0]
    for name in fields.left:
        if name not in common:
            raise unknown(fields.spot.key(name), what, name, kinds)
    raise fields.spot.error(f"no {what} stands here", expected=any_of(sorted(kinds)))


def items_schema(
    kinds: Mapping[str, Shape[Any]],
    common: Mapping[str, Key],
    *,
    also: Callable[[str], list[str]] = lambda _: [],
) -> dict[str, Any]:
    """The JSON Schema of items with exactly one key of `kinds`, and the shared keys that it needs `also`."""
    schema = object_schema({**{name: key(name, shape) for name, shape in kinds.items()}, **common})
    schema.pop("minProperties", None)
    return schema | {"oneOf": [{"required": [name, *also(name)]} for name in kinds]}
