from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

import meshtest.checks
from meshtest.checks import CheckResult, Verdict, combine, run
from meshtest.checks.always import identities
from meshtest.checks.run import JUDGES, settle
from meshtest.errors import Location
from meshtest.scenario.expect import CHECKS, ExpectFailure
from meshtest.traffic.model import ClientTls

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN


def test_public_surface() -> None:
    assert sorted(meshtest.checks.__all__) == [
        "CheckResult",
        "Facts",
        "Verdict",
        "combine",
        "facts_of",
        "judge_scenario",
        "render",
        "requests_for",
        "run",
    ]


def test_every_check_that_can_be_written_can_be_judged() -> None:
    assert set(JUDGES) == set(CHECKS)


@pytest.mark.parametrize(
    ("verdicts", "worst"),
    [((PASS, UNKNOWN, FAIL), FAIL), ((PASS, UNKNOWN), UNKNOWN), ((PASS, PASS), PASS), ((), UNKNOWN)],
)
def test_fail_beats_unknown_beats_pass(verdicts: tuple[Verdict, ...], worst: Verdict) -> None:
    assert combine(CheckResult(verdict=each, name="x", reason="") for each in verdicts) is worst


def test_a_check_that_raises_is_unknown_and_says_why(make: Any) -> None:
    found = make.judge("body: ok", [make.exchange(body=None)])
    assert found.verdict is UNKNOWN
    assert re.match("the check failed: AttributeError: .*decode", found.reason)


def test_a_fault_that_nothing_crossed_is_unknown(make: Any) -> None:
    place = Location(file="s.mesh.yaml", line=9)
    history = make.history(make.many(3), make.window(hits=0, marked=3))
    results = run([make.spec("status: 200")], history, make.facts, faults={"abort": place})
    assert combine(results) is UNKNOWN
    (fault,) = [each for each in results if each.verdict is UNKNOWN]
    assert "no request crossed it (abort at ratings, 3 chosen)" in fault.reason
    assert fault.location == place


def test_a_wrong_identity_that_gets_through_fails_always(make: Any) -> None:
    thief = make.inbound(peer="spiffe://cluster.local/ns/default/sa/admin")
    results = run([], make.history([*make.many(2), make.exchange(hops=(thief,))]), make.facts)
    assert combine(results) is FAIL
    assert "ratings-v1-0 let spiffe://cluster.local/ns/default/sa/admin through" in results[0].reason
    assert results[0].evidence == ("x2",)


@pytest.mark.parametrize(
    "hop",
    [
        {"peer": "spiffe://x/ns/a/sa/b", "status": 403},
        {"peer": ""},
        {"peer": "spiffe://x/ns/a/sa/b", "raw": {"downstream_direct_remote": "192.0.2.1:1"}},
    ],
    ids=["refused", "plaintext", "from-nowhere-known"],
)
def test_identities_that_do_no_harm(make: Any, hop: dict[str, Any]) -> None:
    results = run([], make.history([make.exchange(hops=(make.inbound(**hop),))]), make.facts)
    assert FAIL not in {each.verdict for each in results}


@pytest.mark.parametrize(
    ("name", "verdict"), [("reviews", PASS), ("legacy", FAIL)], ids=["the caller's", "the gateway's"]
)
def test_tls_that_a_gateway_passes_on_is_the_callers(make: Any, name: str, verdict: Verdict) -> None:
    gateway = make.hop(
        pod="default/legacy-0", side="gateway", layer="tcp", raw={"downstream_direct_remote": "10.244.0.2:1"}
    )
    inbound = make.inbound(
        peer=f"spiffe://cluster.local/ns/default/sa/{name}", raw={"downstream_direct_remote": "10.244.0.6:1"}
    )
    found = identities(make.history([make.exchange(hops=(gateway, inbound))]), make.facts)
    assert found is not None
    assert found.verdict is verdict


def test_an_identity_that_the_scenario_chose_is_no_theft(make: Any) -> None:
    exchange = make.exchange(hops=(make.inbound(peer="spiffe://x/ns/a/sa/b"),))
    request = replace(exchange.request, tls=ClientTls(certificate="PEM"))
    assert run([], make.history([replace(exchange, request=request)]), make.facts) == []


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("headers: {end-user: jason}", 1),
        ("path: {prefix: /ratings}", 3),
        ("path: /other", 0),
        ("method: POST", 0),
        ("status: 5xx", 1),
        ("fault: hit", 1),
        ("fault: missed", 2),
        ("after: 1s", 2),
        ("before: 1s", 1),
        ("phase: during", 2),
        ("phase: after", 1),
    ],
)
def test_where_narrows_what_a_check_is_about(make: Any, where: str, count: int) -> None:
    exchanges = [
        make.exchange(started=10.0, sent={"End-User": "jason"}),
        make.exchange(503, started=11.0, hops=(make.inbound(faults=("abort",)),)),
        make.exchange(started=20.0),
    ]
    found = make.judge(f"status: 999x\nwhere: {{{where}}}".replace("999x", "[200, 503]"), exchanges,
                       make.window(injected=10.0, recovered=12.0))  # fmt: skip
    assert found.observed["requests"] == count


def test_where_a_fault_hit_is_unknown_if_log_lines_are_missing(make: Any) -> None:
    exchange = make.exchange(hops=(), complete=False, faults=("abort",))
    assert make.judge("status: 200\nwhere: {fault: missed}", [exchange], make.window()).verdict is UNKNOWN


def test_traffic_narrows_too(make: Any) -> None:
    one, other = make.exchange(), make.exchange(503)
    traffic = {one.id: "good", other.id: "bad"}
    assert make.judge("status: 200\ntraffic: good", [one, other], traffic=traffic).verdict is PASS
    assert make.judge("status: 200", [one, other], traffic=traffic).verdict is FAIL


PLACE = Location(file="s.mesh.yaml", line=3)
TWIN = ExpectFailure(check="status", because="saw 503", location=PLACE)


@pytest.mark.parametrize(
    ("verdict", "reason", "settled"),
    [
        (FAIL, "expected 200, saw 503 in 1 of 1 request", PASS),
        (FAIL, "expected 200, saw 404 in 1 of 1 request", FAIL),
        (PASS, "200 in all", FAIL),
        (UNKNOWN, "no request to judge", UNKNOWN),
    ],
)
def test_the_twin_must_fail_for_the_right_reason(verdict: Verdict, reason: str, settled: Verdict) -> None:
    result = CheckResult(verdict=verdict, name="status", reason=reason, location=PLACE)
    assert combine(settle([result], TWIN)) is settled


def test_the_twin_fails_if_another_check_fails_too() -> None:
    right = CheckResult(verdict=FAIL, name="status", reason="saw 503", location=PLACE)
    other = CheckResult(verdict=FAIL, name="mtls", reason="saw plaintext", location=PLACE)
    assert combine(settle([right, other], TWIN)) is FAIL


def test_results_are_plain_json(make: Any) -> None:
    found = make.judge("status: 200", make.many(1)).to_dict()
    assert json.loads(json.dumps(found)) == found
    assert (found["file"], found["line"]) == ("scenario.mesh.yaml", 1)


def test_an_answer_from_a_wrong_identity_fails_always(make: Any) -> None:
    intruder = "spiffe://cluster.local/ns/default/sa/intruder"
    exchange = make.exchange(hops=(make.hop(upstream_peer=intruder), make.inbound()))
    found = identities(make.history([exchange]), make.facts)
    assert found is not None
    assert found.verdict is Verdict.FAIL
    assert f"took an answer from {intruder}" in found.reason


@pytest.mark.parametrize(
    "peer", ["spiffe://cluster.local/ns/default/sa/ratings", "", "https://outside.example"]
)
def test_answers_of_whom_one_called_do_no_harm(make: Any, peer: str) -> None:
    found = identities(make.history([make.exchange(hops=(make.hop(upstream_peer=peer),))]), make.facts)
    assert found is None or found.verdict is Verdict.PASS
