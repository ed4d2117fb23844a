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

POD = (Backend(ip="10.244.0.2", port=8080),)


def service(kind: str, name: str = "web", spec: str = "", port: str = "port: 80, targetPort: 8080") -> str:
    inside = f"{{type: {kind}, selector: {{app: web}}, ports: [{{{port}}}], {spec}}}"
    return f"{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}, spec: {inside}}}\n---\n"


def object_of(model: MeshModel) -> Any:
    return next(body for body in model.objects if body["kind"] == "Service")


def test_a_load_balancer_has_an_address_outside_and_a_port_on_every_node(
    build: Build, workload: Workload
) -> None:
    model = build(service("LoadBalancer") + workload("web"))
    assert model.services[0].external_addresses == ("198.18.0.2",)
    assert model.cluster_ips == {
        "10.96.0.2": {80: POD},
        "198.18.0.2": {80: POD},
        "172.18.0.2": {30000: POD},
    }
    assert object_of(model)["status"] == {"loadBalancer": {"ingress": [{"ip": "198.18.0.2"}]}}
    assert object_of(model)["spec"]["ports"][0]["nodePort"] == 30000
    assert model.zone == {"web.default.svc.cluster.local": ("10.96.0.2",)}


def test_a_node_port_is_taken_on_each_node(build: Build, workload: Workload) -> None:
    nodes = "".join(
        f"{{apiVersion: v1, kind: Node, metadata: {{name: {name}}}}}\n---\n" for name in ("a", "b")
    )
    model = build(
        service("NodePort", port="port: 80, targetPort: 8080, nodePort: 31380") + nodes + workload("web")
    )
    assert model.services[0].external_addresses == ()
    assert {ip: dict(ports) for ip, ports in model.cluster_ips.items() if ip.startswith("172.")} == {
        "172.18.0.2": {31380: POD},
        "172.18.0.3": {31380: POD},
    }


def test_addresses_that_the_manifests_ask_for_are_given(build: Build, workload: Workload) -> None:
    spec = "loadBalancerIP: 192.0.2.7, externalIPs: [192.0.2.8]"
    model = build(service("LoadBalancer", spec=spec) + workload("web"))
    assert model.services[0].external_addresses == ("192.0.2.7", "192.0.2.8")
    assert model.cluster_ips["192.0.2.8"] == {80: POD}


def test_what_is_added_leaves_the_addresses_of_others_alone(build: Build) -> None:
    before = build(service("LoadBalancer", "old"))
    after = build(service("LoadBalancer", "new") + service("LoadBalancer", "old"), previous=before)
    found = {one.name: (one.load_balancer, one.ports[0].node_port) for one in after.services}
    assert found == {"new": ("198.18.0.3", 30001), "old": ("198.18.0.2", 30000)}


def test_inside_the_cluster_nothing_of_it_is_there(build: Build) -> None:
    one = build(service("ClusterIP"))
    assert (one.services[0].external_addresses, one.services[0].ports[0].node_port) == ((), 0)
    assert "loadBalancer" not in object_of(one)["status"]


@pytest.mark.parametrize("spec", ["loadBalancerIP: here", "externalIPs: [there]"])
def test_an_external_address_has_to_be_one(build: Build, spec: str) -> None:
    with pytest.raises(
        ManifestError, match=r"mesh.yaml:1: spec\.\w+: .* is no address; expected an IPv4 address"
    ):
        build(service("LoadBalancer", spec=spec))
