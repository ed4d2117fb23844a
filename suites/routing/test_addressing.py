"""Where a request ends, by what it is addressed to: every form of name and address, from a sidecar and without one."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh

pytestmark = pytest.mark.mesh(
    "../../fixtures/addressing",
    external={"legacy.example.com": {"ports": ["8080/HTTP"], "addresses": ["192.0.2.80"]}},
)

CLIENT, NAKED = "client", "plain/naked"


def where(one: Exchange) -> str:
    """Which cluster of the caller's sidecar took it, without its port."""
    return one.hops[0].cluster.partition("||")[2] if "||" in one.hops[0].cluster else one.hops[0].cluster


@pytest.mark.parametrize(
    "name",
    [
        "web",
        "web.default",
        "web.default.svc",
        "web.default.svc.cluster.local",
        "WEB",
        "web.default.svc.cluster.local.",
    ],
)
def test_a_service_in_every_form_of_its_name(mesh: Mesh, name: str) -> None:
    one = mesh.request(CLIENT, f"http://{name}/")
    assert (one.status, where(one)) == (200, "web.default.svc.cluster.local")
    assert one.peer_identity == "spiffe://cluster.local/ns/default/sa/default"


@pytest.mark.parametrize(
    ("caller", "name", "found"),
    [
        ("data/db-0", "web", False),
        ("data/db-0", "web.default", True),
        ("data/db-0", "db", True),
        (CLIENT, "db", False),
        (CLIENT, "nobody.default", False),
    ],
)
def test_short_names_are_of_the_callers_namespace(mesh: Mesh, caller: str, name: str, found: bool) -> None:  # noqa: FBT001
    port = 8080 if name == "db" else 80
    assert mesh.request(caller, f"http://{name}:{port}/").outcome.value == (
        "response" if found else "unresolved"
    )


@pytest.mark.parametrize("caller", [CLIENT, NAKED])
def test_a_cluster_ip_leads_to_all_pods_whatever_number_their_port_has(mesh: Mesh, caller: str) -> None:
    service = mesh.model.service("default/web")
    assert service is not None
    sent = mesh.send(caller, "http://web.default/", address=service.cluster_ip, requests=40, reuse=False)
    assert Counter(one.backend.workload for one in sent.exchanges if one.backend).keys() == {
        "web-north",
        "web-south",
    }
    assert {one.status for one in sent.exchanges} == {200}


def test_without_a_sidecar_kube_proxy_chooses_a_pod_per_connection(mesh: Mesh) -> None:
    sent = mesh.send(NAKED, "http://web.default/", requests=60, concurrency=1, reuse=True)
    assert len({one.backend.pod for one in sent.exchanges if one.backend}) == 1
    sent = mesh.send(NAKED, "http://web.default/", requests=60, reuse=False)
    assert len({one.backend.pod for one in sent.exchanges if one.backend}) == 2
    assert {one.hops[0].side for one in sent.exchanges} == {"inbound"}


@pytest.mark.parametrize(
    "host", ["web", "web.default.svc.cluster.local:8081", "elsewhere.example.com", "10.96.0.2"]
)
def test_a_pods_own_address_is_passed_through_whatever_the_host(mesh: Mesh, host: str) -> None:
    pod = mesh.model.pods_of("default/web-north")[0]
    one = mesh.request(CLIENT, f"http://{pod.ip}:8081/", host=host)
    assert (one.status, where(one), one.hops[1].pod) == (200, "PassthroughCluster", pod.key)
    assert one.peer_identity == ""


@pytest.mark.parametrize(
    ("host", "cluster"),
    [
        ("db.data.svc.cluster.local", "db.data.svc.cluster.local"),
        ("db.data.svc:12345", "db.data.svc.cluster.local"),
        ("some.db.data.svc.cluster.local", "db.data.svc.cluster.local"),
        ("db-0.db.data.svc.cluster.local:8080", "db.data.svc.cluster.local"),
        ("10.244.0.99", "PassthroughCluster"),
    ],
)
def test_a_headless_services_pod_is_the_one_that_was_called(mesh: Mesh, host: str, cluster: str) -> None:
    pod = mesh.model.pods_of("data/db")[1]
    one = mesh.request(CLIENT, "http://db/", host=host, address=pod.ip, port=8080)
    assert one.backend is not None
    assert (one.backend.pod, where(one)) == ("db-1", cluster)


@pytest.mark.parametrize("caller", [CLIENT, NAKED])
def test_a_headless_name_is_all_of_its_pods(mesh: Mesh, caller: str) -> None:
    sent = mesh.send(caller, "http://db.data:8080/", requests=60, reuse=False)
    assert {one.backend.pod for one in sent.exchanges if one.backend} == {"db-0", "db-1", "db-2"}


@pytest.mark.parametrize("caller", [CLIENT, NAKED])
@pytest.mark.parametrize("scheme", ["http", "tcp"])
def test_a_stateful_pod_has_a_name(mesh: Mesh, caller: str, scheme: str) -> None:
    one = mesh.request(caller, f"{scheme}://db-2.db.data:{9000 if scheme == 'tcp' else 8080}", body="hello")
    assert one.backend is not None
    assert one.backend.pod == "db-2"
    assert (one.peer_identity != "") is (caller == CLIENT)


def test_only_a_service_that_wants_them_names_pods_that_are_not_ready(mesh: Mesh) -> None:
    found = {
        name: {
            one.backend.pod
            for one in mesh.send(NAKED, f"http://{name}.data:8080/", requests=40, reuse=False).exchanges
            if one.backend
        }
        for name in ("slow", "slow-any")
    }
    assert found == {"slow": {"slow-up"}, "slow-any": {"slow-up", "slow-down"}}


@pytest.mark.parametrize("caller", [CLIENT, NAKED])
@pytest.mark.parametrize("name", ["alias", "alias-with-port"])
def test_an_external_name_is_the_service_that_it_names(mesh: Mesh, caller: str, name: str) -> None:
    one = mesh.request(caller, f"http://{name}.default/")
    assert one.status == 200
    assert one.backend is not None
    assert one.backend.request.host == f"{name}.default"
    if caller == CLIENT:
        assert (where(one), one.peer_identity != "") == ("web.default.svc.cluster.local", True)


def test_a_route_to_an_external_name_leads_there(mesh: Mesh) -> None:
    mesh.apply("""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: client}
spec:
  hosts: [client]
  http: [{route: [{destination: {host: alias-with-port, port: {number: 80}}}]}]
""")
    one = mesh.request(CLIENT, "http://client/")
    assert one.backend is not None
    assert (one.status, one.backend.workload[:3], one.peer_identity != "") == (200, "web", True)


@pytest.mark.parametrize("caller", [CLIENT, NAKED])
@pytest.mark.parametrize("name", ["by-endpoints", "by-slice"])
def test_a_service_without_selector_leads_where_its_endpoints_say(mesh: Mesh, caller: str, name: str) -> None:
    one = mesh.request(caller, f"http://{name}.default/")
    assert one.backend is not None
    assert (one.status, one.backend.workload) == (200, "legacy.example.com")


def test_a_port_without_a_service_is_reached_past_the_mesh(mesh: Mesh) -> None:
    pod = mesh.model.pods_of("default/web-south")[0]
    one = mesh.request(CLIENT, f"http://{pod.ip}:7070/")
    assert (one.status, where(one)) == (200, "PassthroughCluster")
    assert one.hops[1].cluster == "InboundPassthroughCluster"
    nobody = mesh.request(CLIENT, f"http://{pod.ip}:7171/")
    assert (nobody.status, nobody.hops[-1].flags) == (503, "URX,UF")


def test_a_port_that_a_service_does_not_have_refuses(mesh: Mesh) -> None:
    assert mesh.request(NAKED, "http://web.default:81/").outcome.value == "refused"
    assert mesh.request(CLIENT, "tcp://web.default:81", body="hello").outcome.value == "reset"


def test_a_pod_that_calls_itself_by_its_service_passes_its_sidecar_twice(mesh: Mesh) -> None:
    one = mesh.request(CLIENT, "http://client/")
    assert [(hop.pod, hop.side) for hop in one.hops] == [
        ("default/client-0", "outbound"),
        ("default/client-0", "inbound"),
    ]
    assert one.backend is not None
    assert one.backend.request.headers["x-envoy-attempt-count"] == ["1"]


@pytest.mark.parametrize("address", ["localhost", "own"])
def test_a_pod_that_calls_its_own_address_passes_none(mesh: Mesh, address: str) -> None:
    own = mesh.model.pods_of("default/client")[0].ip
    one = mesh.request(CLIENT, "http://client:8080/", address=own if address == "own" else address)
    assert (one.status, one.hops, one.complete) == (200, (), True)
    assert one.backend is not None
    assert "x-envoy-attempt-count" not in one.backend.request.headers


def test_one_without_sidecar_may_call_itself_by_its_service(mesh: Mesh) -> None:
    one = mesh.request(NAKED, "http://naked.plain/")
    assert (one.status, one.hops) == (200, ())


@pytest.mark.parametrize("port", [15001, 15006])
def test_envoys_own_ports_lead_nowhere(mesh: Mesh, port: int) -> None:
    pod = mesh.model.pods_of("default/web-north")[0]
    one = mesh.request(CLIENT, f"http://{pod.ip}:{port}/")
    assert (one.outcome.value, one.hops[0].cluster) == ("reset", "BlackHoleCluster")


def test_a_foreign_address_goes_where_the_host_says(mesh: Mesh) -> None:
    one = mesh.request(CLIENT, "http://web/", address="198.51.100.1")
    assert (one.status, where(one)) == (200, "web.default.svc.cluster.local")


def test_nobody_is_there_at_a_foreign_address(mesh: Mesh) -> None:
    one = mesh.request(CLIENT, "http://elsewhere.example.com/", address="198.51.100.1")
    assert (one.status, where(one), one.hops[0].flags) == (503, "PassthroughCluster", "UF")
    assert (
        mesh.request(NAKED, "http://elsewhere.example.com/", address="198.51.100.1").outcome.value
        == "refused"
    )


def test_under_registry_only_neither_is_reached(mesh: Mesh) -> None:
    mesh.replace(mesh_config={"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}})
    pod = mesh.model.pods_of("default/web-south")[0]
    assert mesh.request(CLIENT, "http://elsewhere.example.com/", address="198.51.100.1").status == 502
    assert mesh.request(CLIENT, f"tcp://{pod.ip}:7070", body="hello").outcome.value == "reset"
    assert mesh.request(CLIENT, "http://web/", address="198.51.100.1").status == 200
