from __future__ import annotations

import time
from typing import Any

import pytest

from meshtest.mesh.model import Backend
from meshtest.runtime.base import Interception, NetworkPlan


def test_pods_reach_each_other_by_address(bench: Any) -> None:
    bench.start(bench.pod("a", 2), bench.pod("b", 3))
    assert bench.call("10.244.0.3") == "b 10.244.0.2"
    assert bench.call("10.244.0.2", pod="default/b") == "a 10.244.0.3"


def test_pods_have_a_loopback_of_their_own(bench: Any) -> None:
    bench.start(bench.pod("a", 2), bench.pod("b", 3))
    assert bench.call("127.0.0.1") == "a 127.0.0.1"
    assert bench.call("127.0.0.1", pod="default/b") == "b 127.0.0.1"


def test_a_cluster_ip_spreads_connections_and_datagrams_over_its_pods(bench: Any) -> None:
    bench.start(bench.pod("a", 2), bench.pod("b", 3), bench.pod("c", 4), network=bench.services(both=[3, 4]))
    assert {bench.call("10.96.1.1", 80) for _ in range(60)} == {"b 10.244.0.2", "c 10.244.0.2"}
    datagrams = [bench.ask("exchange", ip="10.96.1.1", port=80) for _ in range(60)]
    assert {found["answer"] for found in datagrams} == {"b 10.244.0.2", "c 10.244.0.2"}
    assert {found["peer"] for found in datagrams} == {"10.96.1.1"}


def test_a_pod_reaches_itself_through_its_cluster_ip(bench: Any) -> None:
    bench.start(bench.pod("a", 2), network=bench.services(own=[2]))
    assert bench.call("10.96.1.1", 80) == "a 172.18.0.1"


def test_a_caller_outside_of_every_pod_reaches_pods_and_cluster_ips(bench: Any) -> None:
    bench.start(bench.pod("a", 2), network=bench.services(one=[2]))
    assert bench.call("10.244.0.2", pod="") == "a 172.18.0.1"
    assert bench.call("10.96.1.1", 80, pod="") == "a 172.18.0.1"


@pytest.mark.parametrize(
    ("ip", "port"),
    [("10.96.1.2", 80), ("10.96.1.1", 81), ("10.244.0.99", 80), ("203.0.113.7", 443)],
    ids=["no backends", "another port", "no such pod", "outside"],
)
def test_what_nothing_answers_is_refused_at_once(bench: Any, ip: str, port: int) -> None:
    bench.start(bench.pod("a", 2), network=bench.services(one=[2], none=[]))
    began = time.monotonic()
    assert bench.call(ip, port) == "ConnectionRefusedError"
    assert time.monotonic() - began < 0.5


def test_a_new_network_replaces_the_old_one(bench: Any) -> None:
    sandbox = bench.start(bench.pod("a", 2), bench.pod("b", 3), network=bench.services(one=[2], gone=[2]))
    sandbox.set_network(
        NetworkPlan(
            cluster_ips={
                "10.96.1.1": {80: [Backend(ip="10.244.0.3", port=9080)]},
                "192.0.2.9": {8080: [Backend(ip="10.244.0.3", port=9080)]},
            },
            zone={"other.default.svc.cluster.local": ["192.0.2.9"]},
        )
    )
    assert bench.call("10.96.1.1", 80) == "b 10.244.0.2"
    assert bench.call("192.0.2.9", 8080) == "b 10.244.0.2"
    assert bench.call("10.96.1.2", 80) == "ConnectionRefusedError"
    assert bench.ask("resolve", name="one.default.svc.cluster.local")["code"] == "NXDOMAIN"
    assert bench.ask("resolve", name="other.default.svc.cluster.local")["answers"] == ["192.0.2.9"]


def test_many_services_fit(bench: Any) -> None:
    many = {
        f"10.{100 + one // 250}.0.{one % 250}": {
            port: [Backend(ip="10.244.0.2", port=9080)] * 3 for port in (80, 81, 82)
        }
        for one in range(500)
    }
    sandbox = bench.start(bench.pod("a", 2), network=NetworkPlan(cluster_ips=many, zone={}))
    assert bench.call("10.101.0.249", 82) == "a 172.18.0.1"
    sandbox.set_network(NetworkPlan(cluster_ips={}, zone={}))
    assert bench.call("10.101.0.249", 82) == "ConnectionRefusedError"


def test_two_sandboxes_share_nothing(bench: Any) -> None:
    bench.start(bench.pod("a", 2), bench.pod("b", 3))
    bench.start(bench.pod("a", 2))
    assert bench.call("10.244.0.3") == "ConnectionRefusedError"


def test_a_pod_with_redirects_forgets_closed_connections_soon(bench: Any) -> None:
    """Else the kernel gives a later connection from the same port another port, and no log line is found by it."""
    sandbox = bench.start(bench.pod("a", 2, interception=Interception()))
    state = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait"
    assert sandbox.execute("default/a", ["cat", state], timeout=5.0).stdout == "10\n"
