"""One document, several scenarios: `matrix:` and the `${variables}` that it sets.

    matrix: {region: [eu, us], version: [v1, v2]}     four scenarios: name[eu-v1], name[eu-v2], ...
    matrix: [{name: slow, delay: 2s}, ...]            just the combinations that are listed

A text that is nothing but `${x}` takes the value with its type; `$${` is a literal `${`.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meshtest.errors import nearest
from meshtest.scenario.fields import any_of, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshtest.mesh.yaml_source import Document
    from meshtest.scenario.fields import Spot

VARIABLE = re.compile(r"(?<!\$)\$\{([^}]*)\}")
ESCAPED = "$${"
NOT_IN_IDS = re.compile(r"[^A-Za-z0-9._%]+")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
EXPECTED = "variables and their values, as in {region: [eu, us]}, or a list of combinations"
SCHEMA: Mapping[str, Any] = {
    "anyOf": [
        {"type": "object", "additionalProperties": {"type": "array", "minItems": 1}, "minProperties": 1},
        {"type": "array", "items": {"type": "object", "minProperties": 1}, "minItems": 1},
    ]
}


def expansions(value: Any, spot: Spot) -> list[tuple[str, dict[str, Any]]]:
    """The id and the variables of every combination."""
    if isinstance(value, dict) and value:
        combinations = _product(value, spot)
    elif isinstance(value, list) and value:
        combinations = [_listed(each, spot.item(index)) for index, each in enumerate(value)]
    else:
        raise spot.error(f"{shown(value)} is no matrix", expected=EXPECTED)
    return list(_distinct([(_id(each), each) for each in combinations]))


def substitute(document: Document, variables: Mapping[str, Any], spot: Spot, *, strict: bool) -> Document:
    """The document with its variables filled in; `strict`: an unknown one is an error."""
    if not variables and not strict:
        return document
    return replace(document, value=_filled(document.value, variables, spot, strict=strict))


def _product(value: dict[str, Any], spot: Spot) -> list[dict[str, Any]]:
    for name, values in value.items():
        _check_name(name, spot)
        if not isinstance(values, list) or not values:
            raise spot.key(name).error(f"{shown(values)} is no list of values", expected=EXPECTED)
    return [dict(zip(value, combination, strict=True)) for combination in itertools.product(*value.values())]


def _listed(value: Any, spot: Spot) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        raise spot.error(
            f"{shown(value)} is no combination", expected="a mapping of variables and their values"
        )
    for name in value:
        _check_name(name, spot)
    return value


def _check_name(name: str, spot: Spot) -> None:
    if name in ("true", "false"):
        raise spot.key(name).error(
            "the name of this variable is a boolean in YAML",
            expected="another name, or quotes: 'y', 'n', 'on' ...",
        )
    if not NAME.match(name):
        raise spot.key(name).error(f"{name!r} is no name of a variable", expected="letters, digits and '_'")


def _id(variables: Mapping[str, Any]) -> str:
    chosen = [variables["name"]] if "name" in variables else list(variables.values())
    parts = [
        NOT_IN_IDS.sub("-", _text(each)).strip("-") for each in chosen if not isinstance(each, (dict, list))
    ]
    return "-".join(part for part in parts if part) or "case"


def _distinct(found: list[tuple[str, dict[str, Any]]]) -> Iterator[tuple[str, dict[str, Any]]]:
    seen: dict[str, int] = {}
    for name, variables in found:
        seen[name] = seen.get(name, 0) + 1
        yield (name if seen[name] == 1 else f"{name}-{seen[name]}"), variables


def _filled(value: Any, variables: Mapping[str, Any], spot: Spot, *, strict: bool) -> Any:
    if isinstance(value, dict):
        return {
            str(_filled_text(name, variables, spot.key(name), strict=strict)): _filled(
                each, variables, spot.key(name), strict=strict
            )
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_filled(each, variables, spot.item(i), strict=strict) for i, each in enumerate(value)]
    return _filled_text(value, variables, spot, strict=strict) if isinstance(value, str) else value


def _filled_text(text: str, variables: Mapping[str, Any], spot: Spot, *, strict: bool) -> Any:
    whole = VARIABLE.fullmatch(text)
    if whole and whole[1] in variables:
        return variables[whole[1]]

    def value_of(found: re.Match[str]) -> str:
        name = found[1]
        if name in variables:
            return _text(variables[name])
        if strict:
            raise _unknown(name, variables, spot)
        return found[0]

    filled = VARIABLE.sub(value_of, text)
    return filled.replace(ESCAPED, "${") if strict or variables else filled


def _unknown(name: str, variables: Mapping[str, Any], spot: Spot) -> Exception:
    expected = any_of(sorted(variables)) if variables else "a matrix that sets it, or $${ for the text itself"
    return spot.error(f"unknown variable {name!r}", expected=expected, nearest=nearest(name, variables))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
