from __future__ import annotations

from typing import Any

import pytest

from meshtest.checks import Verdict

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN


def at(make: Any, seconds: float, status: int = 200, pod: str = "ratings-v1-0", **rest: Any) -> Any:
    ip = make.facts.pods[f"default/{pod}"].ip
    hops = (make.hop(status=status, upstream=f"{ip}:9080"), make.inbound(pod=f"default/{pod}", status=status))
    backend = make.backend(pod) if status < 400 else None
    return make.exchange(status, **{"started": seconds, "hops": hops, "backend": backend, **rest})


def test_recovers_in_time(make: Any) -> None:
    exchanges = [at(make, 0.5, 503), at(make, 1.2, 503), at(make, 1.6), at(make, 2.5)]
    found = make.judge("recovers: {within: 1s}", exchanges, make.window())
    assert found.verdict is PASS
    assert found.observed["recoverySeconds"] == pytest.approx(0.205)


def test_a_failure_after_the_deadline_fails(make: Any) -> None:
    found = make.judge("recovers: {within: 1s}", [at(make, 1.5), at(make, 2.5, 503)], make.window())
    assert found.verdict is FAIL
    assert "saw 503 1.5s after it, 1 of 2 requests" in found.reason


def test_nothing_sent_after_the_fault_is_unknown(make: Any) -> None:
    assert make.judge("recovers: {within: 1s}", [at(make, 0.5)], make.window()).verdict is UNKNOWN
    assert make.judge("recovers: {within: 1s}", [at(make, 1.5, 503)], make.window()).verdict is UNKNOWN
    assert make.judge("recovers: {within: 1s}", [at(make, 1.5)]).verdict is UNKNOWN


def test_probes_after_the_faults_count_for_recovery_alone(make: Any) -> None:
    probe = at(make, 2.5)
    traffic = {probe.id: "recovery"}
    assert make.judge("recovers: {within: 1s}", [probe], make.window(), traffic=traffic).verdict is PASS
    assert make.judge("status: 200", [probe], make.window(), traffic=traffic).verdict is UNKNOWN


SHIFTS = "shifts: {awayFrom: ratings-v1-0, within: 1s}"


def test_shifts_away_from_a_host_that_failed(make: Any) -> None:
    exchanges = [at(make, 0, 503), at(make, 0.5, 503), at(make, 2, pod="ratings-v1-1")]
    assert make.judge(SHIFTS, exchanges).verdict is PASS


def test_a_host_that_still_gets_requests_fails(make: Any) -> None:
    found = make.judge(SHIFTS, [at(make, 0, 503), at(make, 2), at(make, 3, pod="ratings-v1-1")])
    assert found.verdict is FAIL
    assert "saw 1 of 2 requests still there" in found.reason


def test_a_shift_may_end(make: Any) -> None:
    exchanges = [at(make, 0, 503), at(make, 2, pod="ratings-v1-1"), at(make, 5)]
    assert make.judge("shifts: {awayFrom: ratings-v1-0, within: 1s, for: 3s}", exchanges).verdict is PASS


def test_a_failure_that_a_retry_mended_starts_the_clock(make: Any) -> None:
    mended = at(make, 0, pod="ratings-v1-1")
    hops = (*mended.hops, make.inbound(status=503))
    later = at(make, 2, pod="ratings-v1-1")
    assert make.judge(SHIFTS, [make.exchange(started=0.0, hops=hops), later]).verdict is PASS


def test_no_failure_or_nothing_after_it_is_unknown(make: Any) -> None:
    assert make.judge(SHIFTS, [at(make, 0)]).verdict is UNKNOWN
    assert make.judge(SHIFTS, [at(make, 0, 503)]).verdict is UNKNOWN
    blank = at(make, 2, pod="ratings-v1-1", complete=False)
    assert make.judge(SHIFTS, [at(make, 0, 503), blank]).verdict is UNKNOWN


RETURNS = "returns: {to: ratings-v1-0, within: 2s}"


def test_returns(make: Any) -> None:
    assert make.judge(RETURNS, [at(make, 2), at(make, 4)], make.window()).verdict is PASS
    assert make.judge(RETURNS, [at(make, 2, pod="ratings-v1-1"), at(make, 4)], make.window()).verdict is FAIL
    assert make.judge(RETURNS, [at(make, 4, pod="ratings-v1-1")], make.window()).verdict is FAIL
    assert make.judge(RETURNS, [at(make, 2, pod="ratings-v1-1")], make.window()).verdict is UNKNOWN
    assert make.judge(RETURNS, [at(make, 2)]).verdict is UNKNOWN


def test_hits(make: Any) -> None:
    assert make.judge("hits: 3", make.many(3), make.window()).verdict is PASS
    assert make.judge("hits: {atLeast: 4}", make.many(3), make.window()).verdict is FAIL
    assert (
        make.judge("hits: {exactly: 3, of: abort}", make.many(3), make.window(), make.window("b")).verdict
        is PASS
    )
    assert make.judge("hits: 3", make.many(3)).verdict is UNKNOWN


def test_what_went_out_while_a_fault_came_or_went_has_no_phase(make: Any) -> None:
    window = make.window(injected=1.0, in_force=1.2, leaving=2.0, recovered=2.3)
    exchanges = [at(make, seconds) for seconds in (0.9, 1.1, 1.2, 1.9, 2.1, 2.4)]
    late = at(make, 1.9, sent_late=0.2)
    counted = {
        phase: make.judge(f"{{status: 200, where: {{phase: {phase}}}}}", [*exchanges, late], window).observed[
            "requests"
        ]
        for phase in ("before", "during", "after")
    }
    assert counted == {"before": 1, "during": 2, "after": 1}


def test_faults_of_requests_go_by_the_intended_start(make: Any) -> None:
    late = at(make, 1.9, sent_late=5.0)
    for chooses, phase in ((True, "during"), (False, "after")):
        spec = f"{{status: 200, where: {{phase: {phase}}}}}"
        found = make.judge(spec, [late], make.window(injected=1.0, recovered=2.0, chooses=chooses))
        assert found.verdict is PASS
