from __future__ import annotations

from typing import Any

import pytest

from meshtest.errors import RuntimeFailure
from meshtest.runtime.base import Lost

A, B, C = "10.244.0.2", "10.244.0.3", "10.244.0.4"


@pytest.fixture
def sandbox(bench: Any) -> Any:
    pods = [bench.pod(name, number) for name, number in (("a", 2), ("b", 3), ("c", 4))]
    return bench.start(*pods, network=bench.services(one=[3]))


def test_a_lost_packet_is_one_that_nobody_hears_of(bench: Any, sandbox: Any) -> None:
    sandbox.lose("x", [Lost(source=A, destination=B)])
    assert bench.call(B) == "TimeoutError"
    assert bench.call("10.96.1.1", 80) == "TimeoutError"
    assert bench.call(C) == f"c {A}"
    assert bench.call(B, pod="default/c") == f"b {C}"
    assert sandbox.restore("x") >= 2
    assert bench.call(B) == f"b {A}"


def test_one_way_means_one_way(bench: Any, sandbox: Any) -> None:
    sandbox.lose("x", [Lost(source=B, destination=A)])
    assert bench.call(B) == "TimeoutError"  # the answers are lost
    before = sandbox.lost("x")
    assert before
    datagram_arrives = sandbox.lost("x") == before
    assert datagram_arrives


def test_what_is_lost_on_the_way_into_a_pod_includes_what_the_router_sends(bench: Any, sandbox: Any) -> None:
    sandbox.lose("x", [Lost(destination=A)])
    with pytest.raises(RuntimeFailure, match="timed out"):
        bench.ask("resolve", name="one.default.svc.cluster.local")
    assert bench.call("127.0.0.1") == "a 127.0.0.1"
    assert bench.call(C, pod="default/b") == f"c {B}"
    sandbox.restore("x")
    assert bench.ask("resolve", name="one.default.svc.cluster.local")["answers"] == ["10.96.1.1"]


def test_a_pod_whose_packets_are_lost_on_the_way_out_hears_and_is_not_heard(bench: Any, sandbox: Any) -> None:
    sandbox.lose("x", [Lost(source=A)])
    assert bench.call(B) == "TimeoutError"
    assert sandbox.restore("x") >= 1
    assert bench.call(B) == f"b {A}"


def test_a_share_of_the_packets_is_a_share(bench: Any, sandbox: Any) -> None:
    sandbox.lose("x", [Lost(source=A, destination=B, share=0.3)])
    arrived = 0
    for _ in range(60):
        try:
            bench.ask("exchange", ip=B, port=9080, within=0.05)
            arrived += 1
        except RuntimeFailure:
            continue
    assert sandbox.restore("x") == 60 - arrived
    assert 25 <= arrived <= 57  # 42 on average; outside with a chance of less than 1e-5


def test_connections_that_exist_are_met_too(bench: Any, sandbox: Any) -> None:
    bench.ask("open", ip=B, port=9081)
    assert bench.ask("say", text="before")["answer"] == "before"
    sandbox.lose("x", [Lost(source=A, destination=B)])
    with pytest.raises(RuntimeFailure, match="timed out"):
        bench.ask("say", text="during")
    sandbox.restore("x")


def test_faults_on_one_spot_do_not_know_each_other(bench: Any, sandbox: Any) -> None:
    fresh = sandbox.rules()
    sandbox.lose("x", [Lost(source=A, destination=B), Lost(destination=A)])
    sandbox.lose("y", [Lost(source=A, destination=B)])
    assert sandbox.rules() != fresh
    sandbox.restore("x")
    assert bench.call(B) == "TimeoutError"
    sandbox.restore("y")
    assert sandbox.rules() == fresh
    assert bench.call(B) == f"b {A}"


def test_recovering_twice_does_no_harm(bench: Any, sandbox: Any) -> None:
    sandbox.lose("x", [Lost(source=A, destination=B)])
    bench.call(B)
    assert sandbox.restore("x") > 0
    assert sandbox.restore("x") == 0


def test_what_was_half_done_is_undone(sandbox: Any) -> None:
    fresh = sandbox.rules()
    with pytest.raises(RuntimeFailure, match=r"no pod at 10\.244\.9\.9"):
        sandbox.lose("x", [Lost(source=A, destination=B), Lost(destination="10.244.9.9")])
    sandbox.restore("x")
    assert sandbox.rules() == fresh


def test_a_pod_that_ended_meanwhile_is_no_obstacle(bench: Any, sandbox: Any) -> None:
    sandbox.lose("x", [Lost(destination=C)])
    sandbox.remove_pods(["default/c"])
    assert sandbox.restore("x") == 0
    assert bench.call(B) == f"b {A}"
