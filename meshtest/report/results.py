"""Builds what the journal holds out of plain values, and joins the results of several workers.

result(id=..., verdict=..., checks=[check(...)], faults=[fault(...)], exchanges=pack(...)) ──► Result
"""

from __future__ import annotations

import platform
import re
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

from meshtest.report.clean import clean, home
from meshtest.report.exchanges import read
from meshtest.report.model import FORMAT, VERDICTS, DecisionEntry, Result

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Unpack

    from meshtest.report.model import ChangeEntry, CheckEntry, ExchangeEntry, FaultEntry, Run


def result(**fields: Unpack[Result]) -> Result:
    """A whole result, ready to be written or sent to another process; `id` and `verdict` are needed."""
    return complete(clean(fields, home=home()))


def complete(found: Mapping[str, Any]) -> Result:
    """The result with every absent key filled in; a verdict that is none of the known ones is `unknown`."""
    verdict = found.get("verdict")
    identity = str(found.get("id") or found.get("name") or "nameless")
    defaults: Result = {
        "format": FORMAT, "kind": "scenario", "verdict": "unknown", "reason": "", "failure": "",
        "id": identity, "name": identity.rpartition("::")[2],
        "file": identity.partition("::")[0] if "::" in identity else "",
        "line": 0, "description": "", "labels": {}, "seed": 0, "runtime": "", "envoy": "",
        "start": 0.0, "duration": 0.0,
        "timings": {}, "steps": [], "checks": [], "faults": [], "changes": [], "policies": [], "messages": [],
        "exchanges": {"total": 0, "kept": 0, "left_out": 0}, "decisions": [], "earlier": [],
    }  # fmt: skip
    given = {key: value for key, value in found.items() if value is not None}
    whole: dict[str, Any] = {**defaults, **given, "verdict": verdict if verdict in VERDICTS else "unknown"}
    for key, entry in _NESTED.items():
        whole[key] = [{**entry, **one} for one in whole[key]]
    return cast("Result", whole)


_NESTED: dict[str, dict[str, Any]] = {
    "steps": {"name": "step", "status": "passed", "start": 0.0, "stop": 0.0, "attachments": []},
    "checks": {
        "name": "check",
        "verdict": "unknown",
        "reason": "",
        "observed": {},
        "evidence": [],
        "file": "",
        "line": 0,
    },
    "faults": {
        "id": "",
        "kind": "fault",
        "target": "",
        "placement": "",
        "injected": 0.0,
        "in_force": 0.0,
        "leaving": 0.0,
        "recovered": 0.0,
        "hits": 0,
        "marked": 0,
        "unit": "requests",
    },
    "changes": {"id": "", "what": "change", "asked": 0.0, "made": 0.0, "held": ""},
    "policies": {"ref": "policy", "file": "", "line": 0, "yaml": ""},
    "messages": {"level": "info", "code": "", "text": "", "file": "", "line": 0},
    "decisions": {"policy": "", "effect": "", "count": 0, "example": ""},
}
"""What an entry of each list holds where its writer said nothing."""


def check(found: object) -> CheckEntry:
    """The entry of a `CheckResult`, or of a dict with the same keys."""
    location = read(found, "location")
    return cast("CheckEntry", clean({
        "name": read(found, "name") or "",
        "verdict": read(found, "verdict") or "unknown",
        "reason": read(found, "reason") or "",
        "observed": dict(read(found, "observed") or {}),
        "evidence": list(read(found, "evidence") or ()),
        "file": (read(location, "file") if location else read(found, "file")) or "",
        "line": (read(location, "line") if location else read(found, "line")) or 0,
    }))  # fmt: skip


_FAULT_KEYS = (
    "id", "kind", "target", "placement", "injected", "in_force", "leaving", "recovered", "hits", "marked", "unit",
)  # fmt: skip
_CHANGE_KEYS = ("id", "what", "asked", "made", "held")


def fault(window: object) -> FaultEntry:
    """The entry of a `FaultWindow`, or of a dict with the same keys."""
    return cast("FaultEntry", clean({key: read(window, key) for key in _FAULT_KEYS}))


def change(made: object) -> ChangeEntry:
    """The entry of a `ChangeMade`, or of a dict with the same keys."""
    return cast("ChangeEntry", clean({key: read(made, key) for key in _CHANGE_KEYS}))


def decisions(entries: Iterable[ExchangeEntry]) -> list[DecisionEntry]:
    """Which policies decided, and how often, as the access logs of these exchanges say."""
    counts: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], str] = {}
    for one in entries:
        for hop in one["hops"]:
            for policy, effect in hop["decided"]:
                counts[policy, effect] += 1
                examples.setdefault((policy, effect), one["id"])
    return [
        {"policy": key[0], "effect": key[1], "count": count, "example": examples[key]}
        for key, count in counts.most_common()
    ]


def run(**fields: Unpack[Run]) -> Run:
    """The facts of a run, with those of this machine that tell nothing about whose it is."""
    facts: dict[str, Any] = {
        "format": FORMAT,
        "python": ".".join(map(str, sys.version_info[:3])),
        "platform": f"{platform.system()} {_version(platform.release())} {platform.machine()}",
        "finished": False,
    }
    return cast("Run", clean({**facts, **fields}, home=home()))


def _version(release: str) -> str:
    """The kernel's version; what builders append to it may name a machine or a company."""
    found = re.match(r"\d+\.\d+", release)
    return found.group() if found else ""


def merge(results: Iterable[Mapping[str, Any]]) -> list[Result]:
    """One result per test, by file and line; where a test ran again the last counts and names the earlier."""
    last: dict[str, Result] = {}
    for found in map(complete, results):
        before = last.get(found["id"])
        if before is not None:
            found["earlier"] = [*before["earlier"], before["verdict"]]
        last[found["id"]] = found
    return sorted(last.values(), key=lambda one: (one["file"], one["line"], one["id"]))


def counts(results: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many results have each verdict, worst first; pass, fail and unknown are always there."""
    found = Counter(one["verdict"] for one in map(complete, results))
    return {name: found[name] for name in VERDICTS if found[name] or name in ("pass", "fail", "unknown")}
