"""Gateways behind a load balancer that tells by the PROXY protocol for whom it passes a connection on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh

EDGE = Path(__file__).parents[2] / "fixtures" / "edge"
TOPOLOGY = "defaultConfig: {gatewayTopology: {proxyProtocol: {}}}"
pytestmark = pytest.mark.mesh(str(EDGE / "shop.yaml"))

GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop}
spec:
  selector: {istio: ingressgateway}
  servers:
    - {port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example.com]}
    - port: {number: 443, name: https, protocol: HTTPS}
      hosts: [shop.example.com]
      tls: {mode: SIMPLE, credentialName: shop}
    - {port: {number: 9000, name: tcp, protocol: TCP}, hosts: ["*"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec: {hosts: [shop.example.com], gateways: [shop], http: [{route: [{destination: {host: shop}}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ledger}
spec: {hosts: ["*"], gateways: [shop], tcp: [{match: [{port: 9000}], route: [{destination: {host: ledger}}]}]}
---
"""
ONLY_OFFICE = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: office, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  rules: [{from: [{source: {remoteIpBlocks: [198.18.7.0/24]}}]}]
---
"""
OFFICE, STREET = "198.18.7.7:40001", "198.18.9.9:40002"


def ask(mesh: Mesh, url: str = "http://shop.example.com/", source: str = "", **fields: Any) -> Exchange:
    return mesh.request("outside", url, address="gateway", proxy_protocol=source, **fields)


@pytest.mark.parametrize("source", [OFFICE, f"v2 {OFFICE}", "198.18.7.7", "v2 [2001:db8::7]:40000"])
@pytest.mark.parametrize("url", ["http://shop.example.com/", "https://shop.example.com/"])
def test_the_shop_learns_who_really_asked(mesh: Mesh, url: str, source: str) -> None:
    mesh.replace(GATEWAY, mesh_config=TOPOLOGY)
    one = ask(mesh, url, source)
    assert one.status == 200, one
    assert one.backend is not None
    address = "2001:db8::7" if "2001" in source else "198.18.7.7"
    assert one.backend.request.headers["x-forwarded-for"][0].split(",")[0] == address


def test_without_the_protocol_nobody_is_answered(mesh: Mesh) -> None:
    mesh.replace(GATEWAY, mesh_config=TOPOLOGY)
    assert ask(mesh).outcome == "reset"
    assert ask(mesh, source=OFFICE).status == 200


def test_a_gateway_that_expects_none_takes_it_for_a_bad_request(mesh: Mesh) -> None:
    mesh.replace(GATEWAY)
    assert ask(mesh).status == 200
    assert ask(mesh, source=OFFICE).status == 400


@pytest.mark.parametrize("expects", [True, False])
@pytest.mark.parametrize("source", ["", OFFICE, f"v2 {STREET}"])
@pytest.mark.parametrize("url", ["http://shop.example.com/", "https://shop.example.com/"])
def test_explain_agrees(mesh: Mesh, url: str, source: str, expects: bool) -> None:  # noqa: FBT001 - a case
    mesh.replace(GATEWAY, ONLY_OFFICE, mesh_config=TOPOLOGY if expects else "{}")
    one = ask(mesh, url, source)
    (way,) = mesh.explain("outside", url, address="gateway", proxy_protocol=source).ways
    closed = {"reset", "handshake-failure"}  # explain does not say whose words end there
    assert (way.outcome.value in closed, way.status or 200) == (
        one.outcome.value in closed,
        one.status or 200,
    )


@pytest.mark.parametrize("version", ["", "v2 "])
def test_policies_go_by_who_really_asked(mesh: Mesh, version: str) -> None:
    mesh.replace(GATEWAY, ONLY_OFFICE, mesh_config=TOPOLOGY)
    assert ask(mesh, source=version + OFFICE).status == 200
    denied = ask(mesh, source=version + STREET)
    assert denied.status == 403
    assert denied.decided_by is not None


def test_tcp_is_passed_on_without_the_header(mesh: Mesh) -> None:
    mesh.replace(GATEWAY, mesh_config=TOPOLOGY)
    one = ask(mesh, "tcp://shop.example.com:9000", OFFICE, body="entry")
    assert one.outcome == "response"
    assert one.backend is not None
    assert one.backend.workload == "ledger"
    assert one.body.endswith(b'"received":5}\nentry')


def test_loads_are_passed_on_too_and_never_share_a_connection_with_others(mesh: Mesh) -> None:
    mesh.replace(GATEWAY, ONLY_OFFICE, mesh_config=TOPOLOGY)
    seen = [
        mesh.send(
            "outside",
            "http://shop.example.com/",
            requests=20,
            address="gateway",
            reuse=True,
            proxy_protocol=source,
        )
        for source in (OFFICE, STREET, f"v2 {OFFICE}")
    ]
    assert [{one.status for one in history.exchanges} for history in seen] == [{200}, {403}, {200}]
