"""Key paths of a YAML document and their lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

SIMPLE_KEY = re.compile(r"[A-Za-z0-9_$-]+\Z")


def child_path(path: str, key: str) -> str:
    """The path of a key below `path`; dotted keys stand in brackets, as in Kubernetes' messages."""
    if not SIMPLE_KEY.match(key):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key


class LineMap(Mapping[str, int]):
    """Key path -> line, computed from the document's nodes when first asked; `""` is the document itself."""

    __slots__ = ("_first_line", "_found", "_node")

    def __init__(self, node: Node, first_line: int = 1) -> None:
        self._node = node
        self._first_line = first_line
        self._found: dict[str, int] = {}

    @property
    def _lines(self) -> dict[str, int]:
        if not self._found:
            self._found = dict(_walk(self._node, "", self._first_line, frozenset()))
            self._found[""] = self._node.start_mark.line + self._first_line
        return self._found

    def __getitem__(self, path: str) -> int:
        if path == "":
            return int(self._node.start_mark.line) + self._first_line
        return self._lines[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)


def lines_below(lines: Mapping[str, int], path: str) -> Mapping[str, int]:
    """The lines of the part that stands at `path`, with paths of its own."""
    return {key[len(path) :].removeprefix("."): line for key, line in lines.items() if _is_below(key, path)}


def _is_below(key: str, path: str) -> bool:
    return key == path or (key.startswith(path) and key[len(path)] in ".[")


def _walk(node: Node, path: str, first_line: int, above: frozenset[int]) -> Iterator[tuple[str, int]]:
    if id(node) in above:
        return
    inside = above | {id(node)}
    if isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            yield f"{path}[{index}]", item.start_mark.line + first_line
            yield from _walk(item, f"{path}[{index}]", first_line, inside)
    elif isinstance(node, MappingNode):
        yield from _walk_mapping(node, path, first_line, inside)


def _walk_mapping(
    node: MappingNode, path: str, first_line: int, inside: frozenset[int]
) -> Iterator[tuple[str, int]]:
    # merged keys first: a key of the mapping itself overrides their lines as it does their values
    for key, value in sorted(node.value, key=lambda pair: not _is_merge(pair[0])):
        if _is_merge(key):
            for part in reversed(value.value) if isinstance(value, SequenceNode) else [value]:
                yield from _walk(part, path, first_line, inside)
        elif isinstance(key, ScalarNode):
            at = child_path(path, key.value)
            yield at, key.start_mark.line + first_line
            yield from _walk(value, at, first_line, inside)


def _is_merge(key: Node) -> bool:
    return isinstance(key, ScalarNode) and key.value == "<<"
