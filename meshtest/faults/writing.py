"""A fault of Python code as a scenario would write it, so that one judge reads both.

faults.kill(to="a", share=120) ──► {kill: {share: 120}, to: [a]} ──FAULT.read──► FaultSpec, or the error with the line
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

from meshtest.scenario.fault_identity import Certificate
from meshtest.scenario.faults import FAULT, During
from meshtest.scenario.fields import Spot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.errors import Location
    from meshtest.mesh.yaml_source import Document
    from meshtest.scenario.bounds import TextMatch
    from meshtest.scenario.faults import FaultSpec

_SECONDS = frozenset({"fixed_delay", "delay", "jitter", "latency", "timeout", "every", "lifetime"})

_ARGUMENTS = {
    "from": "from_",
    "bytes": "limit",
    "wrongIdentity": "identity",
    "wrongTrustDomain": "trust_domain",
}
"""Keys whose arguments have other names."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Line(Spot):
    """A line of Python, in which keys are arguments."""

    line: Location

    def key(self, name: str) -> Line:
        """An argument, or what stands in it."""
        argument = _ARGUMENTS.get(name) or re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", name)
        return self._at(f"{self.path}.{argument}" if self.path else argument)

    def item(self, index: int) -> Line:
        """One of several."""
        return self._at(f"{self.path}[{index}]")

    @property
    def location(self) -> Location:
        """The line itself, whichever argument it is."""
        return self.line

    def _at(self, path: str) -> Line:
        return Line(document=self.document, path=path, line=self.line)


def judged(kind: str, action: object, shared: Mapping[str, Any], line: Location) -> FaultSpec:
    """The fault as the reader of scenarios makes it; raises ScenarioError for what that refuses."""
    spot = Line(document=cast("Document", None), line=line)
    return FAULT.read({kind: written(action), **shared_keys(shared)}, spot)


def written(action: object) -> Any:
    """What stands under the kind; arguments that were not given are left out."""
    if isinstance(action, Enum):
        return action.value
    if isinstance(action, Certificate):
        value = action.spiffe or action.trust_domain
        return {action.flaw.value: value} if value else action.flaw.value
    found = {}
    for each in dataclasses.fields(cast("Any", action)):
        value = getattr(action, each.name)
        if value != each.default:
            found[_camel(each.name)] = seconds(value) if each.name in _SECONDS else _plain(value)
    return found


def shared_keys(given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that all constructors share, as keys of a fault."""
    found = {
        name: several(given[argument])
        for name, argument in (("to", "to"), ("from", "from_"), ("attempts", "attempts"))
        if given.get(argument) is not None
    }
    found |= {name: given[name] for name in ("name", "percentage", "first") if name in given}
    path = {
        name: given[key] for name, key in (("exact", "path"), ("prefix", "path_prefix")) if given.get(key)
    }
    match = {"path": path, "method": given.get("method"), "headers": _headers(given.get("headers"))}
    if any(match.values()):
        found["match"] = {name: value for name, value in match.items() if value}
    if given.get("during") is not None:
        found["during"] = _during(given["during"])
    if given.get("until") is not None:
        found["until"] = {"requests": given["until"]}
    return found


def seconds(value: Any) -> Any:
    """A number of seconds, as a duration is written; whatever else is left to the reader."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{Decimal(str(value)).normalize():f}s"
    return value


def several(value: Any) -> Any:
    """One or a sequence, as a list of YAML."""
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _during(value: Any) -> Any:
    if isinstance(value, During):
        value = (value.at, value.lasts)
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        return value
    at, lasts = value
    return {"at": seconds(at), **({} if lasts is None else {"for": seconds(lasts)})}


def _headers(given: Mapping[str, str | TextMatch] | Any) -> Any:
    if not isinstance(given, dict):
        return given
    return {
        name: written(match) if dataclasses.is_dataclass(match) and not isinstance(match, type) else match
        for name, match in given.items()
    }


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else several(value)


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), name)
