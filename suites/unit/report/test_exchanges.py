from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from meshtest.report.exchanges import entry, outcome_class, outcome_label, pack, unpack
from meshtest.report.results import decisions
from meshtest.traffic.codec import exchange_to_dict
from meshtest.traffic.model import Outcome


def test_a_table_gives_back_what_went_into_it(invented: Any) -> None:
    sent = invented.traffic(30, failing=0.3)
    table = json.loads(json.dumps(pack(sent)))
    assert unpack(table) == [entry(one) for one in sent]


def test_an_exchange_may_be_json_of_the_history(invented: Any) -> None:
    sent = invented.traffic(30, failing=0.3)
    assert [entry(exchange_to_dict(one))["url"] for one in sent] == [entry(one)["url"] for one in sent]
    assert pack(map(exchange_to_dict, sent))["summary"] == pack(sent)["summary"]


def test_keeps_evidence_and_every_failing_exchange(invented: Any) -> None:
    sent = invented.traffic(5000, failing=0.1)
    failing = {one.id for one in sent if outcome_class(entry(one)) != "ok"}
    table = pack(sent, evidence=["00000f00"], limit=1000)
    kept = {one["id"] for one in unpack(table)}
    assert (table["total"], table["kept"], table["left_out"]) == (5000, 1000, 4000)
    assert failing | {"00000f00"} <= kept


def test_samples_the_rest_evenly_and_in_order(invented: Any) -> None:
    kept = unpack(pack(invented.traffic(1000), limit=100))
    numbers = [int(one["id"], 16) for one in kept]
    assert numbers == sorted(numbers)
    assert {after - before for before, after in itertools.pairwise(numbers)} == {10}


def test_never_keeps_more_than_the_limit_even_if_all_failed(invented: Any) -> None:
    table = pack([invented.exchange(n, status=503) for n in range(50)], evidence=["00000031"], limit=10)
    kept = [one["id"] for one in unpack(table)]
    assert len(kept) == 10
    assert "00000031" in kept


def test_counts_what_it_leaves_out(invented: Any) -> None:
    sent = [invented.exchange(n, status=503 if n < 40 else 200) for n in range(400)]
    summary = pack(sent, limit=20)["summary"]
    assert summary["outcomes"] == {"200": 360, "503": 40}
    assert summary["backends"] == {"default/ratings-v1": 400}
    assert summary["attempts"] == {"1": 400}
    assert summary["latency_ms"] == {"p50": 4.0, "p95": 4.0, "p99": 4.0, "max": 4.0}
    assert sum(sum(counted.values()) for counted in summary["strip"]["bins"]) == 400
    assert summary["strip"]["bins"][0] == {"server-error": 9}


def test_nothing_sent_is_an_empty_table() -> None:
    table = pack([])
    assert table["total"] == 0
    assert unpack(table) == []


@pytest.mark.parametrize(
    ("changed", "kind", "label"),
    [
        ({"status": 204}, "ok", "204"),
        ({"status": None}, "ok", "response"),
        ({"status": 404}, "client-error", "404"),
        ({"status": 503}, "server-error", "503"),
        ({"grpc_status": 0}, "ok", "200"),
        ({"grpc_status": 7}, "client-error", "gRPC 7"),
        ({"grpc_status": 14}, "server-error", "gRPC 14"),
        ({"outcome": Outcome.TIMEOUT, "status": None}, "no-response", "timeout"),
        ({"outcome": Outcome.RESET, "status": 200}, "no-response", "reset"),
    ],
    ids=str,
)
def test_classes_of_outcomes(invented: Any, changed: dict[str, Any], kind: str, label: str) -> None:
    one = entry(invented.exchange(0, **changed))
    assert (outcome_class(one), outcome_label(one)) == (kind, label)


def test_attempts_are_those_of_the_callers_own_sidecar(invented: Any) -> None:
    own = invented.hop(attempts=3)
    onward = invented.hop(pod="default/ratings-v1-0", attempts=2, start=invented.T0 - 1)
    assert entry(invented.exchange(0, hops=(onward, own)))["attempts"] == 3
    assert entry(invented.exchange(0, hops=(onward,)))["attempts"] == 2
    assert entry(invented.exchange(0, hops=()))["attempts"] is None


def test_names_the_policies_that_decided(invented: Any) -> None:
    rule = "rbac_access_denied_matched_policy[ns[default]-policy[deny-all]-rule[2]]"
    none = "rbac_access_denied_matched_policy[none]"
    hops = [invented.hop(), invented.hop(config="", details=rule), invented.hop(config="", details=none)]
    found = decisions([entry(invented.exchange(1, hops=(hop,))) for hop in (*hops, hops[0])])
    assert [(one["policy"], one["effect"], one["count"]) for one in found] == [
        ("VirtualService default/ratings", "routed", 2),
        ("AuthorizationPolicy default/deny-all rule 2", "denied", 1),
        ("AuthorizationPolicy: no ALLOW rule matched", "denied", 1),
    ]
