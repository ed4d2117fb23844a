"""Who sees what: exportTo of every kind that has it, and the Sidecar's own listeners and limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop")

NEAR, FAR = "shop/orders", "front/web"
"""Callers in the namespace of what they call, and in another one."""
CATALOG = "http://catalog.shop/"
HOST = "catalog.shop.svc.cluster.local"


def policy(kind: str, spec: dict[str, Any], namespace: str = "shop") -> str:
    body = {
        "apiVersion": "networking.istio.io/v1",
        "kind": kind,
        "metadata": {"name": "catalog", "namespace": namespace},
        "spec": spec,
    }
    return f"{yaml.safe_dump(body)}---\n"


def teapot(**spec: Any) -> str:
    """A VirtualService that whoever sees it gets its answer from."""
    return policy("VirtualService", {"hosts": [HOST], "http": [{"directResponse": {"status": 418}}], **spec})


def inbound(one: Exchange) -> list[str]:
    return [hop.cluster for hop in one.hops if hop.side == "inbound"]


@pytest.mark.parametrize(
    ("export", "near", "far"),
    [
        ([], 418, 418),
        (["*"], 418, 418),
        (["."], 418, 200),
        (["front"], 200, 418),
        ([".", "front"], 418, 418),
        (["stock"], 200, 200),
    ],
    ids=str,
)
def test_a_virtual_service_holds_where_it_is_exported_to(
    mesh: Mesh, export: list[str], near: int, far: int
) -> None:
    mesh.apply(teapot(**({"exportTo": export} if export else {})))
    assert (mesh.request(NEAR, CATALOG).status, mesh.request(FAR, CATALOG).status) == (near, far)


def test_what_nobody_knows_leaves_by_the_egress_proxy_of_a_sidecar(mesh: Mesh) -> None:
    """Whatever was asked before: istiod keeps its routes, and knows not by itself that these are others."""
    before = mesh.request(NEAR, CATALOG, host="elsewhere.example")
    proxy = {"host": "catalog-v2.shop.svc.cluster.local", "port": {"number": 80}}
    mesh.apply(policy("Sidecar", {"outboundTrafficPolicy": {"mode": "ALLOW_ANY", "egressProxy": proxy}}))
    after = mesh.request(NEAR, CATALOG, host="elsewhere.example")
    assert [one.hops[0].cluster for one in (before, after)] == [
        "PassthroughCluster",
        "outbound|80||catalog-v2.shop.svc.cluster.local",
    ]
    assert after.backend is not None
    assert (after.backend.workload, after.backend.request.host) == ("catalog-v2", "elsewhere.example")


@pytest.mark.parametrize(
    ("export", "near", "far"), [("*", False, False), (".", False, True), ("front", True, False)]
)
def test_a_destination_rule_holds_where_it_is_exported_to(
    mesh: Mesh, export: str, *, near: bool, far: bool
) -> None:
    plain = {"host": HOST, "trafficPolicy": {"tls": {"mode": "DISABLE"}}, "exportTo": [export]}
    mesh.apply(policy("DestinationRule", plain))
    seen = [bool(mesh.request(caller, CATALOG).peer_identity) for caller in (NEAR, FAR)]
    assert seen == [near, far]


@pytest.mark.parametrize("export", [".", "shop"])
def test_a_service_entry_is_known_where_it_is_exported_to(mesh: Mesh, export: str) -> None:
    entry = {
        "hosts": ["partner.example"],
        "addresses": ["240.1.1.1"],
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "resolution": "STATIC",
        "location": "MESH_INTERNAL",
        "endpoints": [{"address": mesh.model.pods_of("shop/catalog-v1")[0].ip, "ports": {"http": 8080}}],
        "exportTo": [export],
    }
    mesh.apply(policy("ServiceEntry", entry))
    asked: dict[str, Any] = {"address": "240.1.1.1", "timeout": 5}
    assert mesh.request(NEAR, "http://partner.example/", **asked).status == 200
    far = mesh.request(FAR, "http://partner.example/", **asked)
    assert "outbound|80||partner.example" not in [hop.cluster for hop in far.hops]


def test_ports_that_a_sidecar_does_not_list_are_passed_through(mesh: Mesh) -> None:
    assert inbound(mesh.request(NEAR, CATALOG)) == ["inbound|8080||"]
    assert inbound(mesh.request(NEAR, "tcp://catalog.shop:9000")) == ["inbound|9000||"]
    listed = {
        "port": {"number": 8080, "protocol": "HTTP", "name": "http"},
        "defaultEndpoint": "127.0.0.1:8080",
    }
    mesh.apply(policy("Sidecar", {"workloadSelector": {"labels": {"app": "catalog"}}, "ingress": [listed]}))
    assert inbound(mesh.request(NEAR, CATALOG)) == ["inbound|8080||"]
    assert inbound(mesh.request(NEAR, "tcp://catalog.shop:9000")) == ["InboundPassthroughCluster"]


def test_a_sidecar_may_lead_a_port_elsewhere(mesh: Mesh) -> None:
    """The Sidecar takes what comes to 7070 of the pod, and hands it to another port of the application."""
    moved = {
        "port": {"number": 7070, "protocol": "HTTP", "name": "grpc"},
        "defaultEndpoint": "127.0.0.1:8080",
    }
    mesh.apply(policy("Sidecar", {"workloadSelector": {"labels": {"app": "catalog"}}, "ingress": [moved]}))
    one = mesh.request(NEAR, "http://catalog.shop:7070/")
    assert (one.status, inbound(one)) == (200, ["inbound|7070||"])


@pytest.mark.parametrize("where", ["all ports", "one port"])
def test_a_sidecar_limits_what_comes_in(mesh: Mesh, where: str) -> None:
    pool = {"http": {"http1MaxPendingRequests": 1, "http2MaxRequests": 1}, "tcp": {"maxConnections": 1}}
    listed: dict[str, Any] = {
        "port": {"number": 8080, "protocol": "HTTP", "name": "http"},
        "defaultEndpoint": "0.0.0.0:8080",
    }
    spec: dict[str, Any] = {"workloadSelector": {"labels": {"app": "catalog"}}, "ingress": [listed]}
    if where == "one port":
        listed["connectionPool"] = pool
    else:
        spec["inboundConnectionPool"] = pool
    url = f"{CATALOG}?delay=200ms"
    assert {one.status for one in mesh.send(NEAR, url, requests=12, concurrency=12).exchanges} == {200}
    mesh.apply(policy("Sidecar", spec), policy("VirtualService", {"hosts": [HOST], "http": [
        {"retries": {"attempts": 0}, "route": [{"destination": {"host": HOST}}]}]}))  # fmt: skip
    found = mesh.send(NEAR, url, requests=12, concurrency=12).exchanges
    overflowed = [hop for one in found for hop in one.hops if hop.side == "inbound" and "UO" in hop.flags]
    assert {one.status for one in found} == {200, 503}
    assert len(overflowed) == sum(one.status == 503 for one in found)
