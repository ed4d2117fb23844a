"""Which manifests the tests of this project use: in YAML files, in the YAML texts of Python tests, and as mappings."""

from __future__ import annotations

import ast
import re
import textwrap
from typing import TYPE_CHECKING, Any

import yaml

from ci.support.code import Code
from ci.support.fields import GAP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

MESH_CONFIG, SCENARIO = "MeshConfig", "Scenario"
_CONFIG_KEYS = ("meshConfig", "mesh_config")
_KIND = re.compile(r"\bkind:\s*\w")
_FIELD_OF_A_FORMAT = re.compile(r"(?<!\{)\{[a-z_0-9!]*\}(?!\})|%\(\w+\)[sd]|%[sd]")

Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def manifests(path: Path) -> Iterator[Mapping[str, Any]]:
    """The objects in a file of tests or fixtures; MeshConfig, which is no object, is given a kind."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        for document in _varied(_documents(text)):
            yield from _objects(document)
        return
    code = Code(text)
    for node in code.nodes():
        written = code.text(node)
        if written is not None and _KIND.search(written):
            for document in _documents(written):
                yield from _objects(document)
        if isinstance(node, ast.Dict):
            yield from _objects(code.value(node))
    yield from _configs(code)


def parts(path: Path) -> Iterator[Mapping[str, Any]]:
    """Mappings in a Python test that are not objects, but may be put into some by a function of it."""
    if path.suffix != ".py":
        return
    code = Code(path.read_text(encoding="utf-8"))
    for node in code.nodes():
        written = code.text(node)
        if isinstance(node, ast.Dict):
            found = code.value(node)
        elif written and ":" in written and not _KIND.search(written):
            found = _part(written)
        else:
            continue
        for each in found if isinstance(found, list) else [found]:
            named = isinstance(each, dict) and all(isinstance(key, str) for key in each)
            if named and each and "kind" not in each:
                yield each


def _documents(text: str) -> Iterator[dict[str, Any]]:
    for part in re.split(r"^---.*$", textwrap.dedent(text), flags=re.MULTILINE):
        for attempt in (part, _filled(part)):
            try:
                found = yaml.load(attempt, Loader)  # noqa: S506 - it is a SafeLoader
            except (yaml.YAMLError, ValueError):
                continue
            if isinstance(found, dict):
                yield found
                break


def _part(text: str) -> Any:
    for attempt in (text, f"{{{text}}}", _filled(text)):
        try:
            return yaml.load(attempt, Loader)  # noqa: S506 - as above
        except (yaml.YAMLError, ValueError):
            continue
    return None


def _filled(text: str) -> str:
    """A template as `str.format` or `%` would leave it."""
    return _FIELD_OF_A_FORMAT.sub(GAP, text).replace("{{", "{").replace("}}", "}")


def _varied(documents: Iterable[dict[str, Any]]) -> Iterator[Any]:
    """The documents of a file of scenarios, once for each row of the `matrix` above them."""
    rows: list[dict[str, Any]] = [{}]
    for document in documents:
        if document.get("kind") == SCENARIO:
            rows = _rows((document.get("spec") or {}).get("matrix"))
        for row in rows:
            yield _with(row, document)


def _rows(matrix: Any) -> list[dict[str, Any]]:
    """Values of variables; where each stands by itself, one row a value does."""
    if isinstance(matrix, list):
        return [row for row in matrix if isinstance(row, dict)]
    if not isinstance(matrix, dict):
        return [{}]
    return [{key: value} for key, values in matrix.items() if isinstance(values, list) for value in values]


def _with(row: Mapping[str, Any], value: Any) -> Any:
    """A value with variables filled in where they stand alone."""
    if isinstance(value, dict):
        return {key: _with(row, each) for key, each in value.items()}
    if isinstance(value, list):
        return [_with(row, each) for each in value]
    name = value[2:-1] if isinstance(value, str) and value.startswith("${") else ""
    return row.get(name, value)


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


def _configs(code: Code) -> Iterator[Mapping[str, Any]]:
    """What is given as `mesh_config=`, also by the name of a variable."""
    for node in code.nodes():
        if isinstance(node, ast.keyword) and node.arg in _CONFIG_KEYS:
            found = code.value(node.value)
            for document in _documents(found) if isinstance(found, str) else [found]:
                if isinstance(document, dict):
                    yield {"kind": MESH_CONFIG, **document}
