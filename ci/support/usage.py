"""Which manifests the tests of this project use: in YAML files, in the YAML texts of Python tests, and as mappings."""

from __future__ import annotations

import ast
import re
import textwrap
from typing import TYPE_CHECKING, Any

import yaml

from ci.support.fields import GAP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MESH_CONFIG = "MeshConfig"
_CONFIG_KEYS = ("meshConfig", "mesh_config")
_KIND = re.compile(r"\bkind:\s*\w")
_FIELD_OF_A_FORMAT = re.compile(r"(?<!\{)\{[a-z_0-9!]*\}(?!\})|%\(\w+\)[sd]|%[sd]")

Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def manifests(path: Path) -> Iterator[Mapping[str, Any]]:
    """The objects in a file of tests or fixtures; MeshConfig, which is no object, is given a kind."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        for document in _documents(text):
            yield from _objects(document)
        return
    module = ast.parse(text)
    for node in ast.walk(module):
        yield from _in_code(node)
    yield from _configs(module)


def _in_code(node: ast.AST) -> Iterator[Mapping[str, Any]]:
    written = _text(node)
    if written is not None and _KIND.search(written):
        for document in _documents(written):
            yield from _objects(document)
    if isinstance(node, ast.Dict):
        yield from _objects(_value(node))


def _text(node: ast.AST) -> str | None:
    """A string as it would be when it is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or GAP for part in node.values)
    return None


def _value(node: ast.AST) -> Any:
    """A literal, whatever is computed in it left open."""
    if isinstance(node, ast.Dict):
        return {_text(key): _value(value) for key, value in zip(node.keys, node.values, strict=True) if key}
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(each) for each in node.elts]
    return _text(node) or (node.value if isinstance(node, ast.Constant) else GAP)


def _documents(text: str) -> Iterator[Any]:
    for part in re.split(r"^---.*$", textwrap.dedent(text), flags=re.MULTILINE):
        for attempt in (part, _filled(part)):
            try:
                found = yaml.load(attempt, Loader)  # noqa: S506 - it is a SafeLoader
            except (yaml.YAMLError, ValueError):
                continue
            if isinstance(found, dict):
                yield found
                break


def _filled(text: str) -> str:
    """A template as `str.format` or `%` would leave it."""
    return _FIELD_OF_A_FORMAT.sub(GAP, text).replace("{{", "{").replace("}}", "}")


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    """The objects in a value, with the MeshConfig of a scenario."""
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        return
    yield value
    spec = value.get("spec")
    if isinstance(spec, dict) and isinstance(spec.get("meshConfig"), dict):
        yield {"kind": MESH_CONFIG, **spec["meshConfig"]}
    items = value.get("items")
    for item in items if isinstance(items, list) else ():
        yield from _objects(item)


def _configs(module: ast.Module) -> Iterator[Mapping[str, Any]]:
    """What is given as `mesh_config=`, also by the name of a variable of the module."""
    named = {
        target.id: node.value
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(module):
        if isinstance(node, ast.keyword) and node.arg in _CONFIG_KEYS:
            given = named.get(node.value.id, node.value) if isinstance(node.value, ast.Name) else node.value
            found = _value(given)
            for document in _documents(found) if isinstance(found, str) else [found]:
                if isinstance(document, dict):
                    yield {"kind": MESH_CONFIG, **document}


def parts(path: Path) -> Iterator[Mapping[str, Any]]:
    """Mappings in a Python test that are not objects, but may be put into some by a function of it."""
    if path.suffix != ".py":
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        written = _text(node)
        if isinstance(node, ast.Dict):
            found = _value(node)
        elif written and ":" in written and not _KIND.search(written):
            found = _part(written)
        else:
            continue
        for each in found if isinstance(found, list) else [found]:
            if (
                isinstance(each, dict)
                and each
                and "kind" not in each
                and all(isinstance(key, str) for key in each)
            ):
                yield each


def _part(text: str) -> Any:
    for attempt in (text, f"{{{text}}}", _filled(text)):
        try:
            return yaml.load(attempt, Loader)  # noqa: S506 - as above
        except (yaml.YAMLError, ValueError):
            continue
    return None
