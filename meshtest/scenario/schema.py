"""The JSON Schema of scenarios, made from the same tables that the loader reads with.

`python -m meshtest.scenario.schema` writes `schema.json`, which ships for editors.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshtest.scenario import matrix
from meshtest.scenario.fields import object_schema
from meshtest.scenario.loader import METADATA, SPEC
from meshtest.scenario.model import API_VERSION, KIND

if TYPE_CHECKING:
    from collections.abc import Mapping

SHIPPED = Path(__file__).parent / "schema.json"
VARIABLE = {"$ref": "#/$defs/variable"}
NESTED = ("anyOf", "oneOf")


def schema() -> dict[str, Any]:
    """The schema of a document; what is no scenario, such as the manifests beside it, passes."""
    spec = _with_variables(object_schema(SPEC))
    spec["properties"]["matrix"] = matrix.SCHEMA
    body = {
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": KIND},
            "metadata": _with_variables(object_schema(METADATA)),
            "spec": spec,
        },
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": False,
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "meshtest scenario",
        "type": "object",
        "if": {"required": ["kind"], "properties": {"kind": {"const": KIND}}},
        "then": body,
        "$defs": {"variable": {"type": "string", "pattern": r"\$\{[^}]*\}"}},
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


def text() -> str:
    """What `schema.json` holds."""
    return json.dumps(schema(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    SHIPPED.write_text(text(), encoding="utf-8")
