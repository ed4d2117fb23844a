from __future__ import annotations

from typing import Any

import pytest

from meshtest.checks import Verdict
from meshtest.traffic.model import Outcome

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN


@pytest.mark.parametrize(
    "check",
    ["status: 200", "status: 2xx", "status: {in: [200, 404]}", "status: {equals: 200, share: 100%}"],
)
def test_status_passes_if_all_are_as_expected(make: Any, check: str) -> None:
    assert make.judge(check, make.many(40)).verdict is PASS


def test_status_says_what_it_saw_and_how_often(make: Any) -> None:
    found = make.judge("status: 200", make.many(28) + make.many(12, 503))
    assert found.verdict is FAIL
    assert found.reason == "expected 200, saw 503 in 12 of 40 requests"
    assert found.evidence[0] == "x28"


def test_status_counts_several_kinds_apart(make: Any) -> None:
    exchanges = [*make.many(2, 503), make.exchange(None, outcome=Outcome.RESET)]
    assert "saw 503 (2), reset (1) in 3 of 3 requests" in make.judge("status: 200", exchanges).reason


def test_no_request_is_unknown(make: Any) -> None:
    found = make.judge("status: 200", [])
    assert (found.verdict, found.reason) == (UNKNOWN, "no request to judge")


def test_result_points_to_the_line_of_the_scenario(make: Any) -> None:
    assert str(make.judge("status: 200", make.many(1)).location) == "scenario.mesh.yaml:1"


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        ("successRate: 100%", FAIL),
        ("successRate: {atLeast: 90%}", PASS),
        ("successRate: {atMost: 90%}", PASS),
        ("successRate: {atLeast: 91%}", FAIL),
        ("successRate: {exactly: 90%}", PASS),
        ("successRate: {atLeast: 100%, success: {status: [200, 503]}}", PASS),
        ("successRate: {about: 85%, falseAlarm: 1e-6}", PASS),
        ("successRate: {about: 30%}", FAIL),
    ],
)
def test_success_rate_limits(make: Any, check: str, verdict: Verdict) -> None:
    assert make.judge(check, make.many(90) + make.many(10, 503)).verdict is verdict


def test_success_rate_names_the_failures(make: Any) -> None:
    found = make.judge("successRate: {atLeast: 100%}", make.many(38) + make.many(2, 503))
    assert found.reason == "expected ≥ 100% successes, saw 95% (38 of 40 requests): 503"
    assert found.evidence == ("x38", "x39")


def test_success_is_a_response_below_400_grpc_ok_or_any_tcp_response(make: Any) -> None:
    good = [make.exchange(302), make.exchange(200, grpc_status=0), make.exchange(None)]
    bad = [
        make.exchange(404),
        make.exchange(200, grpc_status=14),
        make.exchange(None, outcome=Outcome.TIMEOUT),
    ]
    assert make.judge("successRate: 100%", good).verdict is PASS
    assert make.judge("successRate: 0%", bad).verdict is PASS


def test_about_prints_window_and_power(make: Any) -> None:
    found = make.judge("successRate: {about: 70%, detect: 20%}", make.many(140) + make.many(60, 503))
    assert found.verdict is PASS
    assert "saw 70% (140 of 200, accepted 107..170, power 0." in found.reason
    assert found.observed["window"] == [107, 170]


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        ("outcome: reset", PASS),
        ("outcome: response", FAIL),
        ("outcome: {in: [reset], share: {atLeast: 50%}}", PASS),
    ],
)
def test_outcome(make: Any, check: str, verdict: Verdict) -> None:
    assert make.judge(check, make.many(3, None, outcome=Outcome.RESET)).verdict is verdict


@pytest.mark.parametrize(
    ("check", "verdict"),
    [("grpcStatus: UNAVAILABLE", PASS), ("grpcStatus: 14", PASS), ("grpcStatus: OK", FAIL)],
)
def test_grpc_status(make: Any, check: str, verdict: Verdict) -> None:
    assert make.judge(check, make.many(3, 200, grpc_status=14)).verdict is verdict


def test_a_response_without_grpc_status_is_unknown(make: Any) -> None:
    assert make.judge("grpcStatus: OK", make.many(3)).verdict is UNKNOWN


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        ("headers: {X-Version: v2}", PASS),
        ("headers: {x-version: {prefix: v}}", PASS),
        ("headers: {x-version: {regex: 'v\\d'}}", PASS),
        ("headers: {x-version: {present: false}}", FAIL),
        ("headers: {x-gone: {present: false}}", PASS),
        ("headers: {x-gone: v1}", FAIL),
        ("headers: {x-version: {suffix: '2', contains: v}}", PASS),
    ],
)
def test_response_headers(make: Any, check: str, verdict: Verdict) -> None:
    assert make.judge(check, make.many(2, headers=(("X-Version", "v2"),))).verdict is verdict


def test_headers_show_what_was_there(make: Any) -> None:
    found = make.judge("headers: {x-version: v1}", make.many(2, headers=(("x-version", "v2"),)))
    assert found.reason == "expected x-version: 'v1', saw x-version: 'v2' in 2 of 2 requests"


def test_body(make: Any) -> None:
    assert (
        make.judge("body: {contains: denied}", [make.exchange(403, body=b"RBAC: access denied")]).verdict
        is PASS
    )
    assert make.judge("body: ok", [make.exchange(body=b"no")]).verdict is FAIL
    assert make.judge("body: ok", []).verdict is UNKNOWN


def test_request_headers_as_the_application_received_them(make: Any) -> None:
    backend = make.backend(headers={"x-added": ["1"]})
    assert make.judge("requestHeaders: {x-added: 1}", make.many(2, backend=backend)).verdict is PASS
    assert make.judge("requestHeaders: {x-other: 1}", make.many(2, backend=backend)).verdict is FAIL


def test_received_path_and_host(make: Any) -> None:
    backend = make.backend(path="/v2/ratings/0", host="ratings.v2", method="GET", body=b"abc")
    check = "received: {path: {prefix: /v2}, host: ratings.v2, method: GET, body: abc}"
    assert make.judge(check, [make.exchange(backend=backend)]).verdict is PASS
    found = make.judge("received: {path: /ratings/0}", [make.exchange(backend=backend)])
    assert found.reason == "expected path: '/ratings/0', saw path: '/v2/ratings/0' in 1 of 1 request"


def test_what_an_application_received_is_unknown_if_it_does_not_say(make: Any) -> None:
    assert make.judge("received: {path: /}", [make.exchange(backend=None)]).verdict is UNKNOWN
    assert make.judge("received: {path: /}", [make.exchange(503)]).verdict is FAIL
