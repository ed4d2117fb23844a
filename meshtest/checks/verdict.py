"""What a check comes to: pass, fail, or unknown, which is not a pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshtest.errors import Location


class Verdict(Enum):
    """Whether something held."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    UNKNOWN = "unknown"
    """The evidence is missing: no samples, no log line, a fault that nothing crossed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One check, judged."""

    verdict: Verdict
    name: str
    reason: str
    """First line: the verdict with its numbers."""
    observed: Mapping[str, Any] = field(default_factory=dict)
    """Plain JSON."""
    evidence: tuple[str, ...] = ()
    """Ids of the few exchanges that show it best."""
    location: Location | None = None
    """The line of the scenario that asks for it; None for what is always checked."""

    def to_dict(self) -> dict[str, Any]:
        """As the journal keeps it."""
        place = {"file": self.location.file, "line": self.location.line} if self.location else {}
        return {
            "name": self.name,
            "verdict": self.verdict.value,
            "reason": self.reason,
            "observed": dict(self.observed),
            "evidence": list(self.evidence),
            **place,
        }


def combine(results: Iterable[CheckResult]) -> Verdict:
    """Fail beats unknown beats pass; nothing at all is unknown."""
    verdicts = {result.verdict for result in results}
    for verdict in (Verdict.FAIL, Verdict.UNKNOWN, Verdict.PASS):
        if verdict in verdicts:
            return verdict
    return Verdict.UNKNOWN
