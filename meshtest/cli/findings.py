"""What `meshtest validate` has to say: one value per message, and the three forms it is told in.

engine, loader, analyzers ──► Finding ──► file:line: level [code]: object: key.path: message
                                      └─► JSON, SARIF 2.1.0
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from meshtest.errors import ManifestError
from meshtest.mesh.sources import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshtest.errors import MeshTestError

_PLACED = re.compile(r"(?P<file>[^\n]+?):(?P<line>\d+): (?P<rest>.*)\Z", re.DOTALL)
_GUESS = re.compile(r"; did you mean (?P<quote>['\"])(?P<fix>.+)(?P=quote)\?\Z")
_SARIF_LEVELS = {"error": "error", "warning": "warning", "info": "note"}
_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One message about one place."""

    level: str
    code: str
    message: str
    file: str = ""
    line: int = 0
    object: str = ""
    """`Kind namespace/name`, where it is about an object."""
    path: str = ""
    """The key, as `spec.http[0].route`."""
    fix: str = ""
    """What was likely meant."""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.file else ""
        about = "".join(f"{part}: " for part in (self.object, self.path) if part)
        return f"{place}{self.level} [{self.code}]: {about}{self.message}{self.hint}"

    @property
    def hint(self) -> str:
        """The likely fix in words."""
        return f"; did you mean {self.fix!r}?" if self.fix else ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def of_error(exc: MeshTestError) -> list[Finding]:
    """The findings of an error: several where it tells of several, each on a line of its own."""
    code = "manifest" if isinstance(exc, ManifestError) else "scenario"
    parts: list[str] = []
    for line in str(exc).splitlines():
        if parts and not _PLACED.match(line):
            parts[-1] = f"{parts[-1]} {line.strip()}"
        else:
            parts.append(line)
    key = getattr(exc, "key", "") if len(parts) == 1 else ""
    return [_of_line(part, code, key) for part in parts]


def _of_line(text: str, code: str, key: str) -> Finding:
    placed = _PLACED.match(text)
    rest = placed["rest"] if placed else text
    guess = _GUESS.search(rest)
    rest = _GUESS.sub("", rest)
    return Finding(
        level="error",
        code=code,
        message=rest.removeprefix(f"{key}: ") if key else rest,
        file=shown(Path(placed["file"])) if placed else "",
        line=int(placed["line"]) if placed else 0,
        path=key,
        fix=guess["fix"] if guess else "",
    )


def tidy(findings: Iterable[Finding]) -> list[Finding]:
    """Each finding once, by file and line; admission and the analyzers often say the same of one place."""
    told: dict[tuple[object, ...], Finding] = {}
    for one in findings:
        words = one.message.removeprefix("Schema validation warning: ").casefold().rstrip(".")
        # An error of several objects has the key path in its message.
        said = f"{one.path}: {words}".casefold() if one.path else words
        told.setdefault((one.file, one.line, one.object, said), one)
    order = {"error": 0, "warning": 1}
    return sorted(told.values(), key=lambda one: (one.file, one.line, order.get(one.level, 2)))


def sarif(findings: Sequence[Finding], version: str) -> dict[str, Any]:
    """A SARIF 2.1.0 log, as code hosts take it."""
    codes = sorted({one.code for one in findings})
    return {
        "$schema": _SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "meshtest",
                        "version": version,
                        "rules": [{"id": code} for code in codes],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_sarif_result(one, codes.index(one.code)) for one in findings],
            }
        ],
    }


def _sarif_result(one: Finding, rule: int) -> dict[str, Any]:
    about = "".join(f"{part}: " for part in (one.object, one.path) if part)
    result: dict[str, Any] = {
        "ruleId": one.code,
        "ruleIndex": rule,
        "level": _SARIF_LEVELS.get(one.level, "none"),
        "message": {"text": f"{about}{one.message}{one.hint}"},
    }
    if one.file and not one.file.startswith("<"):
        place: dict[str, Any] = {"artifactLocation": {"uri": _uri(one.file)}}
        if one.line:
            place["region"] = {"startLine": one.line}
        result["locations"] = [{"physicalLocation": place}]
    return result


def _uri(file: str) -> str:
    path = Path(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
