"""Fields of a kind as a tree, and which of them a manifest uses, or a part of one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


GAP = "gap"
"""Stands for what a text is filled with at run time."""


Kind = tuple[str, str]
"""Group and name."""
_EVERYWHERE = """
    name namespace labels annotations key value host hosts port ports number protocol address addresses path uid ip
    operator timeout type mode group method headers weight prefix exact regex backend config status
"""


@dataclass(slots=True)
class Field:
    """A field and what is in it; `path` as the engine writes it, `spec.http[].route[].weight`."""

    path: str
    within: dict[str, Field] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The last word of its path."""
        return self.path.rpartition(".")[2]

    def leaves(self) -> Iterator[Field]:
        """The fields below that have no fields of their own; itself if it has none."""
        if not self.within:
            yield self
        for each in self.within.values():
            yield from each.leaves()

    def nodes(self) -> Iterator[Field]:
        """Itself and all fields below that have fields of their own."""
        if self.within:
            yield self
        for each in self.within.values():
            yield from each.nodes()


def tree(paths: Iterable[str]) -> Field:
    """All fields of a kind below one without a name."""
    root = Field("")
    for path in paths:
        at = root
        for word in path.split("."):
            at = at.within.setdefault(word, Field(f"{at.path}.{word}" if at.path else word))
    return root


def used(kind: Field, body: Mapping[str, Any]) -> set[str]:
    """The leaves that a manifest gives a value, by their paths."""
    return set(_used(kind, body))


def _used(at: Field, value: Any) -> Iterator[str]:
    if not at.within:
        yield at.path
    elif isinstance(value, dict):
        known = {word.rstrip("[]{}"): (word, each) for word, each in at.within.items()}
        for key, inner in value.items():
            if key in known:
                word, each = known[key]
                for one in _items(word, inner):
                    yield from _used(each, one)


def used_by_part(kinds: Mapping[Kind, Field], part: Mapping[str, Any]) -> tuple[Kind, set[str]] | None:
    """The kind that a part of a manifest is a part of, and the leaves that it gives a value.

    The part goes to the highest place where all of it fits. Where it fits in two kinds or at two such places, or has
    only words that stand everywhere, nothing is known of it.
    """
    if not _is_telling(part):
        return None
    found = {
        kind: [node for node in root.nodes() if node.path and _fits(node, part)]
        for kind, root in kinds.items()
    }
    found = {kind: fitting for kind, fitting in found.items() if fitting}
    if len(found) != 1:
        return None
    ((kind, fitting),) = found.items()
    depth = min(node.path.count(".") for node in fitting)
    highest = [node for node in fitting if node.path.count(".") == depth]
    return (kind, set(_used(highest[0], part))) if len(highest) == 1 else None


def _is_telling(part: Mapping[str, Any]) -> bool:
    return any(
        key not in _EVERYWHERE.split() or isinstance(value, dict | list) for key, value in part.items()
    )


def _fits(at: Field, value: Any) -> bool:
    if value == GAP:
        return True
    if not at.within:
        return not isinstance(value, dict) or at.path.endswith("{}")
    if not isinstance(value, dict) or not value:
        return False
    known = {word.rstrip("[]{}"): (word, each) for word, each in at.within.items()}
    return all(key in known and _all_fit(*known[key], inner) for key, inner in value.items())


def _all_fit(word: str, at: Field, value: Any) -> bool:
    signs = word[len(word.rstrip("[]{}")) :]
    if value == GAP or (signs == "{}" and not at.within):
        return value == GAP or isinstance(value, dict)
    if signs and not isinstance(value, list if signs.startswith("[]") else dict):
        return False
    return all(_fits(at, one) for one in _items(word, value))


def _items(word: str, value: Any) -> Iterator[Any]:
    """The values that a field's own fields are looked for in: itself, its items, what its keys have."""
    name = word.rstrip("[]{}")
    found = [value]
    for sign in _signs(word[len(name) :]):
        found = [one for each in found for one in _opened(sign, each)]
    yield from found


def _signs(text: str) -> Iterator[str]:
    for start in range(0, len(text), 2):
        yield text[start : start + 2]


def _opened(sign: str, value: Any) -> Iterable[Any]:
    if sign == "[]":
        return value if isinstance(value, list) else ()
    return value.values() if isinstance(value, dict) else ()
