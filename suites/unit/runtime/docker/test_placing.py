from __future__ import annotations

from meshtest.mesh.model import Backend, ContainerPort, Pod, PodKind
from meshtest.runtime.base import Lost, NetworkPlan, PodPlan
from meshtest.runtime.docker.network import Network
from meshtest.runtime.docker.placing import Placing

NETWORK = Network(name="meshtest-x", prefix="10.245")
AWAY = "203.0.113.9"


def plan(ip: str, *ports: int) -> PodPlan:
    pod = Pod(
        namespace="", name="host.example", workload="host.example", workload_kind="", ip=ip, kind=PodKind.PLAIN,
        labels={}, ports=tuple(ContainerPort(number=port) for port in ports),
    )  # fmt: skip
    return PodPlan(pod=pod, application=None, bootstrap=None, interception=None)


def test_pods_stand_where_the_model_has_them() -> None:
    mine = plan("10.245.0.2")
    assert Placing(NETWORK).placed(mine) is mine


def test_what_stands_outside_is_led_to_an_address_of_the_network() -> None:
    placing = Placing(NETWORK)
    real = placing.placed(plan(AWAY, 443)).pod.ip
    assert NETWORK.has(real)
    ips = placing.cluster_ips(
        NetworkPlan(cluster_ips={"10.96.0.7": {80: [Backend(ip="10.245.0.2", port=8080)]}}, zone={})
    )
    assert ips[AWAY] == {443: [(real, 443)]}
    assert ips["10.96.0.7"] == {80: [("10.245.0.2", 8080)]}
    assert placing.really(Lost(source="10.245.0.2", destination=AWAY)).destination == real


def test_a_service_may_lead_outside() -> None:
    """The kernel translates a connection once only, so its rule says where the address outside really leads."""
    placing = Placing(NETWORK)
    real = placing.placed(plan(AWAY, 443)).pod.ip
    service = {"10.96.0.7": {80: [Backend(ip=AWAY, port=443)]}}
    assert placing.cluster_ips(NetworkPlan(cluster_ips=service, zone={}))["10.96.0.7"] == {80: [(real, 443)]}


def test_every_further_process_has_an_address_of_its_own() -> None:
    placing = Placing(NETWORK)
    found = [placing.address(name) for name in ("a", "b", "c", "d", "a")]
    assert len(set(found)) == 4
    assert found[0] == found[4]
    assert not {NETWORK.gateway, NETWORK.control_plane, NETWORK.resolver} & set(found)


def test_a_caller_that_listens_nowhere_changes_no_rules_of_pods_that_came_before_it() -> None:
    placing = Placing(NETWORK)
    network = NetworkPlan(cluster_ips={}, zone={})
    before = placing.cluster_ips(network)
    assert NETWORK.has(placing.placed(plan(AWAY)).pod.ip)
    assert placing.cluster_ips(network) == before
