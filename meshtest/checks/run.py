"""Judges a history: every check of a scenario, and what is always checked.

(checks, history, facts) ──► results          pure; a check that raises is unknown, and the others still run
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meshtest.checks import (
    answered,
    attempts,
    called,
    changes,
    denied,
    headers,
    hits,
    latency,
    mirrored,
    mtls,
    recovery,
    status,
    success,
    telemetry,
)
from meshtest.checks.always import identities
from meshtest.checks.judging import Judgement, requests, unknown
from meshtest.checks.select import select, undecided
from meshtest.checks.verdict import CheckResult, Verdict
from meshtest.scenario.expect import ALWAYS_IDENTITIES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from meshtest.checks.evidence import Evidence, Facts
    from meshtest.errors import Location
    from meshtest.scenario.expect import CheckSpec, ExpectFailure
    from meshtest.scenario.model import Scenario
    from meshtest.traffic.record import History

JUDGES: Mapping[str, Callable[[Any, Evidence], Judgement]] = {
    "status": status.status,
    "grpcStatus": status.grpc_status,
    "outcome": status.outcome,
    "successRate": success.success_rate,
    "headers": headers.headers,
    "body": headers.body,
    "requestHeaders": headers.request_headers,
    "received": headers.received,
    "latency": latency.latency,
    "answeredBy": answered.answered_by,
    "mirroredTo": mirrored.mirrored_to,
    "sticky": answered.sticky,
    "call": called.call,
    "attempts": attempts.attempts,
    "responseFlags": attempts.response_flags,
    "routedBy": attempts.routed_by,
    "mtls": mtls.mtls,
    "deniedBy": denied.denied_by,
    "allowed": denied.allowed,
    "spans": telemetry.spans,
    "accessLog": telemetry.access_log,
    "recovers": recovery.recovers,
    "shifts": recovery.shifts,
    "returns": recovery.returns,
    "hits": hits.hits,
}


def run(
    specs: Sequence[CheckSpec],
    history: History,
    facts: Facts,
    *,
    faults: Mapping[str, Location] | None = None,
    changed: Mapping[str, Location] | None = None,
) -> list[CheckResult]:
    """Judge each check, each fault, each change, and the identities of every exchange.

    Args:
        specs: the checks of a scenario.
        history: what was sent, and what was done to the mesh.
        facts: what the mesh is.
        faults: fault id -> the line that asks for it.
        changed: name of a change -> the line that asks for it.

    """
    results = [judge(spec, history, facts) for spec in specs]
    results += hits.crossed(history, faults or {})
    results += changes.made(history, changed or {})
    always = identities(history, facts)
    return [*results, always] if always else results


def judge(spec: CheckSpec, history: History, facts: Facts) -> CheckResult:
    """One check."""
    try:
        judged = _judge(spec, history, facts)
    except Exception as error:  # noqa: BLE001 - whatever a check trips over, the verdict is unknown, not a crash
        judged = unknown(f"the check failed: {type(error).__name__}: {error}")
    return CheckResult(
        verdict=judged.verdict,
        name=spec.title,
        reason=judged.reason,
        observed=judged.observed,
        evidence=judged.evidence,
        location=spec.location,
    )


def _judge(spec: CheckSpec, history: History, facts: Facts) -> Judgement:
    evidence = select(spec, history, facts)
    if blank := undecided(spec, history, facts):
        return unknown(f"a log line is missing in {requests(blank)}, so nothing tells whether the fault hit")
    return JUDGES[spec.kind](spec.what, evidence)


def judge_scenario(scenario: Scenario, history: History, facts: Facts) -> list[CheckResult]:
    """All results of a scenario; of a twin that must fail, its failure stands among them as a pass."""
    places = {fault.name: fault.location for fault in scenario.faults}
    changed = {change.name: change.location for change in scenario.changes}
    results = run(scenario.expect, history, facts, faults=places, changed=changed)
    wanted = scenario.expect_failure
    if (
        wanted
        and wanted.check == ALWAYS_IDENTITIES
        and not any(each.name == wanted.check for each in results)
    ):
        results.append(
            CheckResult(verdict=Verdict.UNKNOWN, name=wanted.check, reason="no request showed an identity")
        )
    return settle(results, scenario.expect_failure) if scenario.expect_failure else results


def settle(results: Sequence[CheckResult], wanted: ExpectFailure) -> list[CheckResult]:
    """The results of a twin: it passes if exactly the named check fails, for a reason that matches."""
    settled = []
    for result in results:
        if result.name == wanted.check and (result.location or result.name == ALWAYS_IDENTITIES):
            settled.append(_settled(result, wanted))
        else:
            settled.append(result)
    return settled


def _settled(result: CheckResult, wanted: ExpectFailure) -> CheckResult:
    name = f"{result.name} must fail"
    if result.verdict is Verdict.FAIL and re.search(wanted.because, result.reason):
        return replace(result, verdict=Verdict.PASS, name=name, reason=f"it does: {result.reason}")
    if result.verdict is Verdict.FAIL:
        reason = f"expected it to fail because of {wanted.because!r}, saw: {result.reason}"
    elif result.verdict is Verdict.UNKNOWN:
        return replace(result, name=name)
    else:
        reason = f"expected it to fail because of {wanted.because!r}, but it holds: {result.reason}"
    return replace(result, verdict=Verdict.FAIL, name=name, reason=reason, location=wanted.location)
