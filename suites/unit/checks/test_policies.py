from __future__ import annotations

from typing import Any

import pytest

from meshtest.checks import Verdict
from meshtest.traffic.model import Decision, Outcome

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN
VIEWER = "rbac_access_denied_matched_policy[ns[default]-policy[viewer]-rule[1]]"
NONE = "rbac_access_denied_matched_policy[none]"


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        ("attempts: {atMost: 3}", PASS),
        ("attempts: 3", PASS),
        ("attempts: {atMost: 2}", FAIL),
        ("attempts: {atLeast: 4}", FAIL),
        ("attempts: {atMost: 3, by: reviews-v2}", PASS),
    ],
)
def test_attempts(make: Any, check: str, verdict: Verdict) -> None:
    assert make.judge(check, make.many(2, hops=(make.hop(attempts=3),))).verdict is verdict


def test_attempts_first_line_has_the_numbers(make: Any) -> None:
    exchanges = make.many(28) + make.many(12, hops=(make.hop(attempts=5),))
    found = make.judge("attempts: {atMost: 2}", exchanges)
    assert found.reason == "expected ≤ 2 attempts, saw 5 attempts in 12 of 40 requests"


def test_attempts_without_log_lines_are_unknown(make: Any) -> None:
    assert make.judge("attempts: 1", make.many(2, hops=(), complete=False)).verdict is UNKNOWN
    assert make.judge("attempts: 1", make.many(2, hops=())).verdict is UNKNOWN


def test_a_caller_outside_is_judged_by_its_gateway(make: Any) -> None:
    hop = make.hop(pod="istio-system/ingress-0", side="gateway", attempts=2)
    assert make.judge("attempts: 2", [make.exchange(hops=(hop,), caller="outside")]).verdict is PASS


@pytest.mark.parametrize(
    ("check", "hop", "verdict"),
    [
        ("mtls: true", {}, PASS),
        ("mtls: {peer: spiffe://cluster.local/ns/default/sa/reviews}", {}, PASS),
        ("mtls: {peer: spiffe://cluster.local/ns/default/sa/other}", {}, FAIL),
        ("mtls: false", {}, FAIL),
        ("mtls: true", {"tls": "", "peer": ""}, FAIL),
        ("mtls: true", {"peer": ""}, FAIL),
        ("mtls: false", {"tls": "", "peer": ""}, PASS),
        ("mtls: {to: ratings-v1}", {}, PASS),
    ],
)
def test_mtls(make: Any, check: str, hop: dict[str, str], verdict: Verdict) -> None:
    assert make.judge(check, make.many(2, hops=(make.hop(), make.inbound(**hop)))).verdict is verdict


def test_mtls_without_the_callees_log_line_is_unknown(make: Any) -> None:
    assert make.judge("mtls: true", make.many(2, hops=(make.hop(),), complete=False)).verdict is UNKNOWN


def test_a_callee_without_sidecar_is_plaintext(make: Any) -> None:
    exchanges = make.many(2, backend=make.backend("legacy-0"), hops=(make.hop(),))
    assert make.judge("mtls: false", exchanges).verdict is PASS
    assert make.judge("mtls: true", exchanges).verdict is FAIL


def denied(make: Any, details: str = VIEWER, status: int = 403) -> Any:
    hops = (make.hop(status=403), make.inbound(status=403, details=details))
    return make.exchange(status, hops=hops)


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        ("deniedBy: viewer", PASS),
        ("deniedBy: default/viewer", PASS),
        ("deniedBy: {policy: viewer, rule: 1}", PASS),
        ("deniedBy: {policy: viewer, rule: 0}", FAIL),
        ("deniedBy: other/viewer", FAIL),
        ("deniedBy: none", FAIL),
        ("deniedBy: {at: ratings-v1}", PASS),
        ("deniedBy: {policy: viewer, at: reviews-v2}", FAIL),
        ("allowed: true", FAIL),
    ],
)
def test_denied_by(make: Any, check: str, verdict: Verdict) -> None:
    assert make.judge(check, [denied(make)]).verdict is verdict


def test_a_denial_names_policy_rule_file_and_line(make: Any) -> None:
    found = make.judge("deniedBy: deny-all", [denied(make)])
    expected = (
        "expected a denial by deny-all, saw a denial by default/viewer rule 1 (policies.yaml:12) in 1 of 1"
    )
    assert expected in found.reason


def test_denied_because_no_allow_policy_matched(make: Any) -> None:
    assert make.judge("deniedBy: none", [denied(make, NONE)]).verdict is PASS
    assert make.judge("deniedBy: viewer", [denied(make, NONE)]).verdict is FAIL


def test_a_tcp_denial_stands_in_the_termination_details(make: Any) -> None:
    hop = make.inbound(layer="tcp", status=None, details="", raw={"termination": VIEWER})
    assert (
        make.judge("deniedBy: viewer", [make.exchange(None, outcome=Outcome.RESET, hops=(hop,))]).verdict
        is PASS
    )


def test_an_answer_is_no_denial_even_if_log_lines_are_missing(make: Any) -> None:
    assert make.judge("deniedBy: viewer", make.many(1, complete=False)).verdict is FAIL


def test_a_403_without_log_line_is_unknown_and_with_all_log_lines_is_the_applications(make: Any) -> None:
    assert make.judge("deniedBy: viewer", [make.exchange(403, hops=(), complete=False)]).verdict is UNKNOWN
    assert make.judge("deniedBy: viewer", [make.exchange(403)]).verdict is FAIL


def test_a_denial_behind_an_answer_needs_at(make: Any) -> None:
    exchange = denied(make, status=200)
    assert make.judge("deniedBy: viewer", [exchange]).verdict is FAIL
    assert make.judge("deniedBy: {policy: viewer, at: ratings-v1}", [exchange]).verdict is PASS


def test_allowed_needs_an_application_that_was_reached(make: Any) -> None:
    assert make.judge("allowed: true", make.many(2)).verdict is PASS
    assert make.judge("allowed: {at: ratings-v1}", make.many(2)).verdict is PASS
    unreached = make.many(2, 503, hops=(make.hop(status=503, details="no_healthy_upstream"),))
    assert make.judge("allowed: true", unreached).verdict is UNKNOWN
    assert make.judge("allowed: true", []).verdict is UNKNOWN


CONFIG = "/apis/networking.istio.io/v1/namespaces/default/virtual-service/ratings"


def test_routed_by(make: Any) -> None:
    exchanges = make.many(2, hops=(make.hop(config=CONFIG),))
    assert make.judge("routedBy: ratings", exchanges).verdict is PASS
    found = make.judge("routedBy: other/ratings", exchanges)
    assert (found.verdict, "saw default/ratings (policies.yaml:12)" in found.reason) == (FAIL, True)
    assert make.judge("routedBy: ratings", make.many(2, hops=())).verdict is UNKNOWN
    assert make.judge("routedBy: ratings", make.many(2)).verdict is FAIL


def test_routed_by_a_route_of_the_gateway_api(make: Any) -> None:
    config = CONFIG.replace("ratings", "default~80~ratings.default.svc.cluster.local")
    exchanges = make.many(2, hops=(make.hop(config=config, route="default.routed.0"),))
    assert make.judge("routedBy: routed", exchanges).verdict is PASS
    assert make.judge("routedBy: default/routed", exchanges).verdict is PASS
    found = make.judge("routedBy: ratings", exchanges)
    assert (found.verdict, "saw default/routed (routes.yaml:1)" in found.reason) == (FAIL, True)
    stranger = make.many(2, hops=(make.hop(config=config, route="default.gone.0"),))
    assert make.judge("routedBy: routed", stranger).verdict is FAIL


def test_response_flags(make: Any) -> None:
    overflow = make.many(5, 503, hops=(make.hop(flags="UO"),))
    assert make.judge("responseFlags: UO", overflow).verdict is PASS
    assert (
        make.judge("responseFlags: {in: UO, share: {atMost: 50%}}", overflow + make.many(5)).verdict is PASS
    )
    assert make.judge("responseFlags: [UF, UH]", overflow).verdict is FAIL
    assert make.judge("responseFlags: UO", make.many(1, hops=())).verdict is UNKNOWN


EXPIRED = "jwt_authn_access_denied{Jwt_is_expired}"


def refused(make: Any, kind: str, **inbound: Any) -> Any:
    hop = make.inbound(**inbound)
    known = Decision(kind=kind, namespace="default", name="p", effect="denied", pod=hop.pod)
    return make.exchange(401, hops=(make.hop(), hop), decided_by=known)


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        ("deniedBy: p", PASS),
        ("deniedBy: {kind: RequestAuthentication}", PASS),
        ("deniedBy: {policy: p, kind: AuthorizationPolicy}", FAIL),
        ("deniedBy: {policy: p, reason: Jwt is expired}", PASS),
        ("deniedBy: {policy: p, reason: {contains: issuer}}", FAIL),
        ("deniedBy: other", FAIL),
        ("deniedBy: none", FAIL),
        ("allowed: true", FAIL),
    ],
)
def test_denied_by_authentication(make: Any, check: str, verdict: Verdict) -> None:
    exchange = refused(make, "RequestAuthentication", status=401, details=EXPIRED)
    assert make.judge(check, [exchange]).verdict is verdict


def test_plaintext_is_denied_by_peer_authentication(make: Any) -> None:
    exchange = refused(
        make,
        "PeerAuthentication",
        layer="tcp",
        details="filter_chain_not_found",
        tls="",
        peer="",
        raw={"downstream_failure": "TLS_error|error:1000009c:HTTP_REQUEST"},
    )
    found = make.judge("deniedBy: {policy: p, kind: PeerAuthentication}", [exchange])
    assert found.verdict is PASS
    assert "PeerAuthentication default/p: plaintext where mTLS is required" in str(found.observed)


RULE = "ns[default]-policy[viewer]-rule[1]"
DRY = {
    "istio_dry_run_deny_shadow_engine_result": "denied",
    "istio_dry_run_deny_shadow_effective_policy_id": RULE,
}
LET = {"enforced_engine_result": "allowed", "enforced_effective_policy_id": RULE}


@pytest.mark.parametrize(
    ("check", "rbac", "verdict"),
    [
        ("deniedBy: {policy: viewer, dryRun: true}", DRY, PASS),
        ("deniedBy: {policy: viewer, rule: 0, dryRun: true}", DRY, FAIL),
        (
            "deniedBy: {policy: none, dryRun: true}",
            {"istio_dry_run_allow_shadow_engine_result": "denied"},
            PASS,
        ),
        ("deniedBy: {dryRun: true}", LET, FAIL),
        ("deniedBy: viewer", DRY, FAIL),
        ("allowed: {by: viewer}", LET, PASS),
        ("allowed: {by: default/viewer}", LET, PASS),
        ("allowed: {by: other}", LET, FAIL),
        ("allowed: {by: viewer}", None, FAIL),
        ("allowed: true", LET, PASS),
    ],
)
def test_dry_runs_and_who_let_it_through(make: Any, check: str, rbac: Any, verdict: Verdict) -> None:
    exchange = make.exchange(hops=(make.hop(), make.inbound(raw={"rbac": rbac})))
    assert make.judge(check, [exchange]).verdict is verdict


def test_a_dry_run_without_log_line_is_unknown(make: Any) -> None:
    exchange = make.exchange(hops=(make.hop(),), complete=False)
    assert make.judge("deniedBy: {policy: viewer, dryRun: true}", [exchange]).verdict is UNKNOWN
    assert make.judge("allowed: {by: viewer}", [exchange]).verdict is UNKNOWN
