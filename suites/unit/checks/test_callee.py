from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from meshtest.checks import Verdict
from meshtest.checks.answered import NOBODY, who
from meshtest.traffic.model import Outcome

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        ("answeredBy: ratings-v1", PASS),
        ("answeredBy: default/ratings-v1", PASS),
        ("answeredBy: ratings-v1-0", PASS),
        ("answeredBy: [ratings-v2, ratings-v1]", PASS),
        ("answeredBy: ratings-v2", FAIL),
    ],
)
def test_answered_by(make: Any, check: str, verdict: Verdict) -> None:
    assert make.judge(check, make.many(3)).verdict is verdict


def test_an_answer_by_the_mesh_is_by_nobody(make: Any) -> None:
    found = make.judge(
        "answeredBy: ratings-v1", make.many(2, 503, hops=(make.hop(status=503, details="no_healthy"),))
    )
    assert found.reason == "expected an answer by ratings-v1, saw nobody (503) in 2 of 2 requests"


def test_without_any_evidence_who_answered_is_unknown(make: Any) -> None:
    assert (
        make.judge("answeredBy: ratings-v1", make.many(2, backend=None, hops=(), complete=False)).verdict
        is UNKNOWN
    )


def test_log_lines_tell_who_answered_where_the_application_does_not(make: Any) -> None:
    assert who(make.exchange(backend=None), make.facts) == make.callee
    assert who(make.exchange(backend=None, hops=(make.hop(),)), make.facts) == make.callee
    assert who(make.exchange(403, hops=(make.hop(), make.inbound(details="rbac"))), make.facts) == NOBODY
    assert who(make.exchange(None, outcome=Outcome.RESET), make.facts) == NOBODY


def test_an_application_that_does_not_know_its_namespace(make: Any) -> None:
    backend = replace(make.backend(), namespace="")
    assert who(make.exchange(backend=backend), make.facts) == make.callee


def mirroring(make: Any, count: int, copies: int, pod: str = "default/ratings-v2-0") -> list[Any]:
    copy = make.inbound(pod=pod, mirror=True, details="rbac_access_denied_matched_policy[none]", peer="")
    with_copy = make.many(copies, hops=(make.hop(), copy, make.inbound()))
    return with_copy + make.many(count - copies)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("check", "copies", "verdict"),
    [
        ("mirroredTo: ratings-v2", 40, PASS),
        ("mirroredTo: default/ratings-v2", 40, PASS),
        ("mirroredTo: ratings-v2", 39, FAIL),
        ("mirroredTo: ratings-v1", 40, FAIL),
        ("mirroredTo: {to: ratings-v2, share: 0%}", 0, PASS),
        ("mirroredTo: {to: ratings-v2, share: {about: 50%}}", 20, PASS),
        ("mirroredTo: {to: ratings-v2, share: {about: 50%}}", 38, FAIL),
        ("mirroredTo: legacy", 40, UNKNOWN),
    ],
)
def test_mirrored_to(make: Any, check: str, copies: int, verdict: Verdict) -> None:
    assert make.judge(check, mirroring(make, 40, copies)).verdict is verdict


def test_a_copy_of_which_a_line_may_be_missing_is_unknown(make: Any) -> None:
    assert make.judge("mirroredTo: ratings-v2", make.many(2, complete=False)).verdict is UNKNOWN


@pytest.mark.parametrize("check", ["allowed: true", "mtls: true", "answeredBy: ratings-v1", "attempts: 1"])
def test_what_becomes_of_a_copy_says_nothing_of_the_request(make: Any, check: str) -> None:
    assert make.judge(check, mirroring(make, 2, 2)).verdict is PASS


def split(make: Any, first: int, second: int) -> list[Any]:
    return make.many(first) + make.many(second, backend=make.backend("ratings-v2-0"))  # type: ignore[no-any-return]


def test_shares_within_chance_pass(make: Any) -> None:
    found = make.judge(
        "answeredBy: {shares: {ratings-v1: 90%, ratings-v2: 10%}, detect: 20%}", split(make, 172, 28)
    )
    assert found.verdict is PASS
    assert "ratings-v1 about 90%, saw 86% (172 of 200, accepted" in found.reason
    assert "power" in found.reason


def test_shares_beyond_chance_fail(make: Any) -> None:
    found = make.judge("answeredBy: {shares: {ratings-v1: 90%, ratings-v2: 10%}}", split(make, 100, 100))
    assert found.verdict is FAIL
    assert "ratings-v1 about 90%, saw 50% (100 of 200" in found.reason


def test_an_answer_by_somebody_else_breaks_the_shares(make: Any) -> None:
    exchanges = [*split(make, 10, 10), make.exchange(503, hops=(make.hop(details="no_healthy_upstream"),))]
    found = make.judge("answeredBy: {shares: {ratings-v1: 50%, ratings-v2: 50%}}", exchanges)
    assert found.verdict is FAIL
    assert "saw nobody (503) in 1 of 21 requests" in found.reason


def test_shares_without_samples_are_unknown(make: Any) -> None:
    assert make.judge("answeredBy: {shares: {ratings-v1: 50%, ratings-v2: 50%}}", []).verdict is UNKNOWN


def test_sticky_by_header(make: Any) -> None:
    one = make.many(3, sent={"X-User": "ann"})
    other = make.many(3, sent={"x-user": "bob"}, backend=make.backend("ratings-v1-1"))
    assert make.judge("sticky: {header: x-user}", one + other).verdict is PASS
    assert make.judge("sticky: {}", one + other).verdict is FAIL
    assert make.judge("sticky: {header: x-user, pods: {atLeast: 2}}", one + other).verdict is PASS
    assert make.judge("sticky: {header: x-user, pods: 1}", one + other).verdict is FAIL
    assert make.judge("sticky: {header: x-user}", make.many(2, 503, hops=())).verdict is UNKNOWN


RATINGS = {
    "url": "http://ratings:9080/",
    "outcome": "response",
    "status": 200,
    "body": {"workload": "ratings-v1"},
}
REVIEWS = {"url": "http://reviews/", "status": 200, "body": {"workload": "reviews-v2", "calls": [RATINGS]}}


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        ("call: {to: ratings, status: 200}", PASS),
        ("call: {to: ratings, status: 503}", FAIL),
        ("call: {to: ratings, answeredBy: ratings-v1}", PASS),
        ("call: {to: ratings-v1, times: 1}", PASS),
        ("call: {to: ratings, times: 0}", FAIL),
        ("call: {to: details, times: 0}", PASS),
        ("call: {to: details, status: 200}", FAIL),
        ("call: {to: ratings, outcome: response}", PASS),
        ("call: {to: ratings, outcome: timeout}", FAIL),
    ],
)
def test_calls_at_any_depth(make: Any, check: str, verdict: Verdict) -> None:
    backend = make.backend("productpage-v1-0", calls=[REVIEWS])
    assert make.judge(check, make.many(2, backend=backend)).verdict is verdict


def test_calls_of_an_application_that_does_not_say_are_unknown(make: Any) -> None:
    assert make.judge("call: {to: ratings, status: 200}", make.many(2, backend=None)).verdict is UNKNOWN
