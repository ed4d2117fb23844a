"""YAML as Kubernetes reads it, with the line of every key.

    text ──libyaml──► nodes with marks ──► Document(value, location, lines)

Scalars resolve as in sigs.k8s.io/yaml, which kubectl and the API server use: `yes`, `on` and `y` are
booleans, `0x10` and `010` are integers, but `2024-01-01` and `12:30` are strings; keys become strings. What
PyYAML's own loaders make of them differs, so only its parser is used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.resolver import BaseResolver

from meshtest.errors import Location, ManifestError
from meshtest.mesh.yaml_colons import quoted
from meshtest.mesh.yaml_lines import LineMap, child_path
from meshtest.mesh.yaml_problems import translate
from meshtest.mesh.yaml_scalars import NotJSON, key_text, scalar

if yaml.__with_libyaml__:
    from yaml._yaml import CParser
else:
    from meshtest.mesh.yaml_pure import PureParser as CParser  # type: ignore[assignment]  # same interface

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PLAIN = "plain"
MERGE = "<<"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document of a YAML stream.

    `lines` maps key paths (`spec.http[0].route`, `metadata.labels[app.kubernetes.io/name]`, `""` for the
    document) to line numbers; it is computed when first asked.
    """

    value: Any
    location: Location
    lines: Mapping[str, int] = field(repr=False, compare=False)

    def at(self, path: str) -> Location:
        """Where `path` stands, or its nearest parent that is written down."""
        return nearest_location(self.lines, path, self.location)


def documents(text: str, file: str, *, first_line: int = 1) -> list[Document]:
    """Every document of `text` that is not empty; raises ManifestError `file:line: ...` for broken YAML.

    Args:
        text: a YAML or JSON stream.
        file: what messages call it.
        first_line: the line of `file` on which `text` begins.
    """
    source = _Source(file, first_line)
    found = []
    for node in source.nodes(text):
        value = source.construct(node, "")
        if value is not None:
            lines = LineMap(node, first_line)
            found.append(Document(value=value, location=Location(file=file, line=lines[""]), lines=lines))
    return found


def nearest_location(lines: Mapping[str, int], path: str, default: Location) -> Location:
    """Where `path` or its nearest written parent stands; `default` if none of them does."""
    while path:
        line = lines.get(path)
        if line is not None:
            return Location(file=default.file, line=line)
        path = _parent(path)
    return default


def _parent(path: str) -> str:
    if path.endswith("]"):
        return path[: path.rindex("[")] if "[" in path else ""
    return path.rpartition(".")[0]


class _Loader(CParser, BaseResolver):
    """libyaml's parser and composer; tags only tell plain scalars from quoted ones."""

    def __init__(self, text: str) -> None:
        CParser.__init__(self, text)
        BaseResolver.__init__(self)

    def resolve(self, kind: type[Node], value: str | None, implicit: Any) -> str:
        if kind is ScalarNode and implicit[0]:
            return PLAIN
        return BaseResolver.resolve(self, kind, value, (False, False))  # type: ignore[no-untyped-call, no-any-return]


def _nodes(text: str) -> Iterator[Node]:
    loader = _Loader(text)
    while loader.check_node():
        node = loader.get_node()
        if node is not None:
            yield node


class _Source:
    """Turns the nodes of one file into values; it knows the file for its messages."""

    def __init__(self, file: str, first_line: int) -> None:
        self.file = file
        self.first_line = first_line
        self.open: set[int] = set()

    def nodes(self, text: str) -> list[Node]:
        """The root node of each document."""
        try:
            return list(_nodes(text))
        except (yaml.YAMLError, UnicodeError) as error:
            if isinstance(error, yaml.MarkedYAMLError) and (other := quoted(text, error)):
                return self.nodes(other)
            problem, line = translate(error, text)
            location = Location(file=self.file, line=line + self.first_line)
            raise ManifestError(problem, location=location) from None

    def construct(self, node: Node, path: str) -> Any:
        """The value of a node, as JSON would hold it."""
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if id(node) in self.open:
            raise self.error(node, path, "an alias stands inside its own anchor")
        self.open.add(id(node))
        try:
            if isinstance(node, MappingNode):
                return self._mapping(node, path)
            return [self.construct(item, f"{path}[{index}]") for index, item in enumerate(node.value)]
        finally:
            self.open.discard(id(node))

    def _scalar(self, node: ScalarNode, path: str) -> Any:
        try:
            return scalar(node.value, "" if node.tag == PLAIN else node.tag)
        except NotJSON as error:
            raise self.error(node, path, str(error)) from None

    def _mapping(self, node: MappingNode, path: str) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            if key_node.tag == PLAIN and key_node.value == MERGE:
                merged = {**self._merged(value_node, path), **merged}
                continue
            key = self._key(key_node, path)
            at = child_path(path, key)
            if key in own:
                raise self.error(key_node, at, f"duplicate key; the first stands on line {lines[key]}")
            lines[key] = self.line(key_node)
            own[key] = self.construct(value_node, at)
        return {**merged, **own} if merged else own

    def _merged(self, node: Node, path: str) -> dict[str, Any]:
        parts = node.value if isinstance(node, SequenceNode) else [node]
        result: dict[str, Any] = {}
        for part in parts:
            value = self.construct(part, path)
            if not isinstance(value, dict):
                raise self.error(part, path, "only a mapping, or a list of mappings, can be merged with `<<`")
            result = {**value, **result}
        return result

    def _key(self, node: Node, path: str) -> str:
        if not isinstance(node, ScalarNode):
            problem = "a mapping or list stands as a key; a template that was not rendered?"
            raise self.error(node, path, problem)
        try:
            return key_text(self._scalar(node, path))
        except NotJSON as error:
            raise self.error(node, path, str(error)) from None

    def line(self, node: Node) -> int:
        """The node's line in the file."""
        return int(node.start_mark.line) + self.first_line

    def error(self, node: Node, path: str, problem: str) -> ManifestError:
        """A ManifestError at a node."""
        return ManifestError(problem, location=Location(file=self.file, line=self.line(node)), key=path)
