from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from meshtest.errors import ManifestError
from meshtest.mesh.model import Backend

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.mesh.model import MeshModel

    Build = Callable[..., MeshModel]
    Workload = Callable[..., str]


def service(name: str = "web", spec: str = "", ports: str = "{port: 80, targetPort: 8080}") -> str:
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{selector: {{app: web}}, ports: [{ports}], {spec}}}
---
"""


def slices(model: MeshModel) -> list[Any]:
    return [body for body in model.objects if body["kind"] == "EndpointSlice"]


def test_a_service_leads_to_the_pods_it_selects(build: Build, workload: Workload) -> None:
    model = build(service() + workload("web", spec="replicas: 2,") + workload("other"))
    assert model.cluster_ips == {
        "10.96.0.2": {80: (Backend(ip="10.244.0.2", port=8080), Backend(ip="10.244.0.3", port=8080))}
    }
    assert model.zone == {"web.default.svc.cluster.local": ("10.96.0.2",)}


def test_slices_say_which_pods_and_ports(build: Build, workload: Workload) -> None:
    ports = "{port: 80, targetPort: 8080, name: http, appProtocol: http}"
    (one,) = slices(build(service(ports=ports) + workload("web")))
    assert one["metadata"]["labels"]["kubernetes.io/service-name"] == "web"
    assert one["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP", "appProtocol": "http"}]
    (endpoint,) = one["endpoints"]
    assert endpoint["addresses"] == ["10.244.0.2"]
    assert endpoint["conditions"]["ready"] is True
    assert endpoint["targetRef"] == {"kind": "Pod", "namespace": "default", "name": "web-0"}


def pod(name: str, *ports: str) -> str:
    inside = f"containers: [{{name: a, ports: [{', '.join(ports)}]}}]"
    metadata = f"{{name: {name}, labels: {{app: web}}}}"
    return f"{{apiVersion: v1, kind: Pod, metadata: {metadata}, spec: {{{inside}}}}}\n---\n"


def test_pods_may_number_a_named_port_differently(build: Build) -> None:
    text = (
        service(ports="{port: 80, targetPort: web}")
        + pod("a", "{containerPort: 8080, name: web}")
        + pod("b", "{containerPort: 9090, name: web}")
        + pod("c", "{containerPort: 7070, name: other}")
    )
    model = build(text)
    assert [[port["port"] for port in one["ports"]] for one in slices(model)] == [[8080], [9090], []]
    (ports,) = model.cluster_ips.values()
    assert [backend.port for backend in ports[80]] == [8080, 9090]


def test_a_service_without_pods_refuses_connections(build: Build) -> None:
    model = build(service())
    assert model.cluster_ips == {"10.96.0.2": {80: ()}}
    assert [one["endpoints"] for one in slices(model)] == [[]]


def test_pods_that_are_not_ready_get_no_traffic(build: Build, workload: Workload) -> None:
    text = service() + workload("web", spec="replicas: 2,")
    model = build(text, not_ready=["default/web-0"])
    assert model.cluster_ips["10.96.0.2"][80] == (Backend(ip="10.244.0.3", port=8080),)
    (one,) = slices(model)
    assert [endpoint["conditions"]["ready"] for endpoint in one["endpoints"]] == [False, True]


def test_an_annotation_says_that_a_pod_is_not_ready(build: Build, workload: Workload) -> None:
    notes = 'labels: {app: web}, annotations: {meshtest.dev/ready: "false"}'
    model = build(service() + workload("web", metadata=notes))
    assert model.cluster_ips["10.96.0.2"][80] == ()
    assert not model.pods[0].ready


def test_unless_the_service_publishes_them(build: Build, workload: Workload) -> None:
    text = service(spec="publishNotReadyAddresses: true") + workload("web")
    model = build(text, not_ready=["default/web-0"])
    assert len(model.cluster_ips["10.96.0.2"][80]) == 1
    assert slices(model)[0]["endpoints"][0]["conditions"] == {
        "ready": True,
        "serving": False,
        "terminating": False,
    }


def test_tcp_and_udp_share_a_port(build: Build, workload: Workload) -> None:
    ports = (
        "{port: 53, name: dns, protocol: UDP}, {port: 53, name: dns-tcp}, {port: 9, name: s, protocol: SCTP}"
    )
    model = build(service(ports=ports) + workload("web"))
    assert model.cluster_ips["10.96.0.2"] == {53: (Backend(ip="10.244.0.2", port=53),)}


def test_a_headless_service_is_its_pods(build: Build, workload: Workload) -> None:
    text = service("dbs", spec="clusterIP: None") + workload(
        "web", kind="StatefulSet", spec="serviceName: dbs, replicas: 2,"
    )
    model = build(text)
    assert model.cluster_ips == {}
    assert model.zone == {
        "dbs.default.svc.cluster.local": ("10.244.0.2", "10.244.0.3"),
        "web-0.dbs.default.svc.cluster.local": ("10.244.0.2",),
        "web-1.dbs.default.svc.cluster.local": ("10.244.0.3",),
    }
    assert model.services[0].headless


def test_a_headless_service_has_no_name_without_ready_pods(build: Build, workload: Workload) -> None:
    text = service("dbs", spec="clusterIP: None") + workload("web")
    assert build(text, not_ready=["default/web-0"]).zone == {}
    assert "10-244-0-2.dbs.default.svc.cluster.local" in build(text).zone


def test_a_headless_service_needs_no_ports(build: Build) -> None:
    assert build(service(ports="", spec="clusterIP: None")).services[0].ports == ()


def test_an_external_name_is_an_alias(build: Build) -> None:
    model = build(service("a", ports="", spec="type: ExternalName, externalName: B.Test."))
    assert model.zone == {"a.default.svc.cluster.local": ("CNAME b.test",)}
    assert slices(model) == []


def test_given_addresses_are_kept_and_not_given_twice(build: Build) -> None:
    model = build(service("a") + service("b", spec="clusterIP: 10.96.0.2"))
    assert {one.name: one.cluster_ip for one in model.services} == {"a": "10.96.0.3", "b": "10.96.0.2"}


def test_services_keep_their_addresses(build: Build) -> None:
    first = build(service("a") + service("b"))
    second = build(service("b") + service("c"), previous=first)
    assert {one.name: one.cluster_ip for one in second.services} == {"b": "10.96.0.3", "c": "10.96.0.4"}


def test_the_resolver_keeps_its_address(build: Build) -> None:
    model = build("".join(service(f"s{number}") for number in range(20)))
    assert "10.96.0.10" not in model.cluster_ips
    assert len(model.cluster_ips) == 20


def test_the_api_servers_form_has_the_defaults(build: Build) -> None:
    (body,) = [body for body in build(service(ports="{port: 80}")).objects if body["kind"] == "Service"]
    assert body["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert (body["spec"]["type"], body["spec"]["clusterIPs"]) == ("ClusterIP", ["10.96.0.2"])


ENDPOINTS = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80, name: http}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: web}
subsets:
- addresses: [{ip: 192.0.2.1}]
  notReadyAddresses: [{ip: 192.0.2.2}]
  ports: [{port: 8080, name: http}]
"""


def test_endpoints_are_mirrored_for_services_without_selector(build: Build) -> None:
    model = build(ENDPOINTS)
    assert model.cluster_ips["10.96.0.2"][80] == (Backend(ip="192.0.2.1", port=8080),)
    assert [body["kind"] for body in model.objects].count("Endpoints") == 0
    assert [endpoint["addresses"] for endpoint in slices(model)[0]["endpoints"]] == [
        ["192.0.2.1"],
        ["192.0.2.2"],
    ]


SLICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: ADDRESS_TYPE
ports: [{port: 8080}]
endpoints: [{addresses: [ADDRESS]}, {addresses: [192.0.2.9], conditions: {ready: false}}]
"""


def test_slices_may_be_given(build: Build) -> None:
    model = build(SLICE.replace("ADDRESS_TYPE", "IPv4").replace("ADDRESS", "192.0.2.1"))
    assert model.cluster_ips["10.96.0.2"][80] == (Backend(ip="192.0.2.1", port=8080),)


@pytest.mark.parametrize(
    ("kind", "address", "message"),
    [
        ("IPv4", "web.test", "endpoints[0].addresses: 'web.test' is no IPv4 address"),
        ("IP", "192.0.2.1", "addressType: no type 'IP'"),
        ("IPv4", "", "endpoints[0].addresses: missing"),
    ],
)
def test_wrong_slices_are_told(build: Build, kind: str, address: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        build(SLICE.replace("ADDRESS_TYPE", kind).replace("ADDRESS", address))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "ports", "message"),
    [
        ("", "", "mesh.yaml:5: spec.ports: missing"),
        ("", "{name: a}", "spec.ports[0].port: missing; expected 1 to 65535"),
        ("", "{port: 70000}", "spec.ports[0].port: 70000 is no port"),
        ("", "{port: '80'}", "spec.ports[0].port: '80' is not a whole number"),
        ("", "{port: 80, targetPort: '8080'}", "expected 8080 without quotes"),
        ("", "{port: 80, protocol: QUIC}", "no protocol 'QUIC'; expected TCP or UDP or SCTP"),
        ("", "{port: 80}, {port: 81, name: b}", "spec.ports[0].name: missing"),
        ("", "{port: 80, name: a}, {port: 81, name: a}", "spec.ports[1].name: two ports are called 'a'"),
        ("", "{port: 80, name: a}, {port: 80, name: b}", "80/TCP stands there twice"),
        ("type: Cluster", "{port: 80}", "spec.type: no type 'Cluster'"),
        ("type: ExternalName", "", "spec.externalName: missing"),
        ("clusterIP: 10.96.0.10", "{port: 80}", "is taken by the cluster itself"),
        ("clusterIP: here", "{port: 80}", "spec.clusterIP: 'here' is no address"),
        ("clusterIP: 'fd00::1'", "{port: 80}", "IPv6 is not supported"),
        ("ipFamilies: [IPv6]", "{port: 80}", "spec.ipFamilies: IPv6 is not supported"),
    ],
)
def test_wrong_services_are_told(build: Build, spec: str, ports: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        build(service(spec=spec, ports=ports))
    assert message in str(caught.value)


def test_one_address_for_two_services_is_an_error(build: Build) -> None:
    given = "clusterIP: 10.96.7.7"
    with pytest.raises(ManifestError, match=r"already given to Service default/a at mesh.yaml:2"):
        build(service("a", spec=given) + service("b", spec=given))
