"""Texts and mappings in Python code, as far as they can be read without running it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from ci.support.fields import GAP

if TYPE_CHECKING:
    from collections.abc import Iterator


class Code:
    """A module. Names stand for what is assigned to them, if that is said in one place only."""

    def __init__(self, text: str) -> None:
        self._module = ast.parse(text)
        self._named: dict[str, ast.AST | None] = {}
        for node in self.nodes():
            if isinstance(node, ast.Assign):
                for name in (target.id for target in node.targets if isinstance(target, ast.Name)):
                    self._named[name] = None if name in self._named else node.value

    def nodes(self) -> Iterator[ast.AST]:
        """All that is in it."""
        return ast.walk(self._module)

    def text(self, node: ast.AST) -> str | None:
        """A string as it would be when it is filled in."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        if isinstance(node, ast.JoinedStr):
            return "".join(self._inner(part) for part in node.values)
        if isinstance(node, ast.Call):
            return self._replaced(node)
        return None

    def value(self, node: ast.AST) -> Any:
        """A literal, whatever is computed in it left open."""
        if isinstance(node, ast.Name) and self._named.get(node.id) is not None:
            return self._value(self._named[node.id])
        return self._value(node)

    def _value(self, node: ast.AST | None) -> Any:
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            return {self.text(key): self._value(value) for key, value in pairs if key}
        if isinstance(node, ast.List | ast.Tuple):
            return [self._value(each) for each in node.elts]
        if isinstance(node, ast.Constant):
            return node.value
        return (node and self.text(node)) or GAP

    def _replaced(self, call: ast.Call) -> str | None:
        """What `text.replace(word, other)` gives, each of them a text or the name of one."""
        if not isinstance(call.func, ast.Attribute) or call.func.attr != "replace" or len(call.args) != 2:
            return None
        whole, *words = [self._written(each) for each in (call.func.value, *call.args)]
        old, new = words
        return None if whole is None or not old or new is None else whole.replace(old, new)

    def _written(self, node: ast.AST) -> str | None:
        named = self._named.get(node.id) if isinstance(node, ast.Name) else node
        direct = named is node or isinstance(named, ast.Constant | ast.JoinedStr)
        return self.text(named) if named and direct else None

    def _inner(self, part: ast.AST) -> str:
        """What stands in a place of an f-string; a name for a text, not for another f-string that has itself."""
        if isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.Name):
            named = self._named.get(part.value.id)
            if isinstance(named, ast.Constant) and isinstance(named.value, str):
                return named.value
            if isinstance(named, ast.JoinedStr):
                return "".join(
                    self.text(each) or GAP for each in named.values if not isinstance(each, ast.JoinedStr)
                )
        return self.text(part) or GAP
