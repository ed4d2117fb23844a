"""The JSON Schema of scenarios, made from the same tables that the loader reads with.

`python -m meshtest.scenario.schema` writes `schema.json`, which ships for editors.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshtest.scenario import matrix
from meshtest.scenario.fields import object_schema
from meshtest.scenario.loader import METADATA, SPEC
from meshtest.scenario.model import API_VERSION, KIND

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SHIPPED = Path(__file__).parent / "schema.json"
VARIABLE = {"$ref": "#/$defs/variable"}
SHORT = 120
NESTED = ("anyOf", "oneOf")


def schema() -> dict[str, Any]:
    """The schema of a document; what is no scenario, such as the manifests beside it, passes."""
    spec = _with_variables(object_schema(SPEC))
    spec["properties"]["matrix"] = matrix.SCHEMA
    body: dict[str, Any] = {
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": KIND},
            "metadata": _with_variables(object_schema(METADATA)),
            "spec": spec,
        },
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": False,
    }
    named: dict[str, Any] = {"variable": {"type": "string", "pattern": r"\$\{[^}]*\}"}}
    shared = _shared(body)
    body = _named(body, shared, named)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "meshtest scenario",
        "type": "object",
        "if": {"required": ["kind"], "properties": {"kind": {"const": KIND}}},
        "then": body,
        "$defs": named,
    }


def _with_variables(value: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with `${x}` allowed wherever a value may stand."""
    result = dict(value)
    for name in NESTED:
        if name in result:
            result[name] = [_with_variables(each) for each in result[name]]
    if "properties" in result:
        result["properties"] = {name: _or_variable(each) for name, each in result["properties"].items()}
    for name in ("items", "additionalProperties"):
        if isinstance(result.get(name), dict):
            result[name] = _or_variable(result[name])
    return result


def _or_variable(value: Mapping[str, Any]) -> dict[str, Any]:
    inner = _with_variables(value)
    return {"anyOf": [*inner["anyOf"], VARIABLE]} if set(inner) == {"anyOf"} else {"anyOf": [inner, VARIABLE]}


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every schema within a schema; the mapping under `properties` is none itself."""
    if isinstance(value, list):
        for each in value:
            yield from _parts(each)
    elif isinstance(value, dict):
        yield value
        for name, each in value.items():
            yield from _parts(list(each.values()) if name == "properties" else each)


def _shared(body: Mapping[str, Any]) -> set[str]:
    """The parts, as text, that stand in several places and are long enough to be worth a name."""
    counted = Counter(json.dumps(part, sort_keys=True) for part in _parts(body))
    return {each for each, count in counted.items() if count > 1 and len(each) > SHORT}


def _named(value: Any, shared: set[str], named: dict[str, Any]) -> Any:
    """The schema with references in place of its shared parts, which go to `named`."""
    if isinstance(value, list):
        return [_named(each, shared, named) for each in value]
    if not isinstance(value, dict):
        return value
    inner = {name: _inside(name, each, shared, named) for name, each in value.items()}
    if json.dumps(value, sort_keys=True) not in shared:
        return inner
    name = next((name for name, each in named.items() if each == inner), f"part{len(named)}")
    named[name] = inner
    return {"$ref": f"#/$defs/{name}"}


def _inside(name: str, value: Any, shared: set[str], named: dict[str, Any]) -> Any:
    if name == "properties":
        return {each: _named(part, shared, named) for each, part in value.items()}
    return _named(value, shared, named)


def text() -> str:
    """What `schema.json` holds."""
    return json.dumps(schema(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    SHIPPED.write_text(text(), encoding="utf-8")
