"""`hits:`, and what is always checked of faults: one that no request crossed proves nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.checks.judging import Judgement, requests, unknown
from meshtest.checks.verdict import CheckResult, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.checks.evidence import Evidence
    from meshtest.errors import Location
    from meshtest.scenario.expect_time import Hits
    from meshtest.traffic.record import FaultWindow, History


def hits(spec: Hits, evidence: Evidence) -> Judgement:
    """So many requests crossed the faults, or one of them."""
    windows = [window for window in evidence.history.faults if spec.of in ("", window.id)]
    if not windows:
        return unknown(f"the fault {spec.of!r} did not run" if spec.of else "no fault ran")
    count = sum(window.hits for window in windows)
    verdict = Verdict.PASS if spec.bounds.hold(count) else Verdict.FAIL
    return Judgement(
        verdict=verdict,
        reason=f"expected {spec.bounds.text('hits')}, saw {count}",
        observed={window.id: window.hits for window in windows},
    )


def crossed(history: History, places: Mapping[str, Location]) -> list[CheckResult]:
    """Per fault: whether any request crossed it. `places` are the lines that ask for the faults, by id."""
    return [
        CheckResult(
            verdict=Verdict.PASS if window.hits else Verdict.UNKNOWN,
            name=f"fault {window.id}",
            reason=_met(window) if window.hits else _missed(window),
            observed={"hits": window.hits, "marked": window.marked},
            location=places.get(window.id),
        )
        for window in history.faults
    ]


def _met(window: FaultWindow) -> str:
    if window.marked:
        return f"crossed by {window.hits} of {requests(window.marked)} chosen for it"
    return f"met {window.hits} {window.unit if window.hits != 1 else one(window)}"


def _missed(window: FaultWindow) -> str:
    if window.injected == window.recovered:
        return f"its time never came ({window.kind} at {window.target}): the traffic had ended before"
    chosen = f", {window.marked} chosen" if window.unit == "requests" else ""
    return f"no {one(window)} crossed it ({window.kind} at {window.target}{chosen})"


def one(window: FaultWindow) -> str:
    """The unit of a single hit."""
    return _SINGULARS.get(window.unit, window.unit.removesuffix("s"))


_SINGULARS = {
    "changes and starts": "change or start of a sidecar",
    "queries": "query",
    "pushes": "push",
    "requests for certificates": "request for certificates",
}
