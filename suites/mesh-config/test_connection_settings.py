"""Limits of proxies on those who connect to them (`connectionSettings`), and TLS of all gateways (`tlsDefaults`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh

pytestmark = pytest.mark.mesh("../../fixtures/edge/shop.yaml")

STILL = "defaultConfig: {connectionSettings: {httpStreamIdleTimeout: 300ms}}"
LONG = "defaultConfig: {connectionSettings: {httpMaxStreamDuration: 300ms}}"
EDGE = "defaultConfig: {connectionSettings: {profile: EDGE}}"
REJECTED = """
defaultConfig: {connectionSettings: {httpHeadersWithUnderscoresAction: HEADERS_WITH_UNDERSCORES_REJECT_REQUEST}}
"""
DROPPED = """
defaultConfig: {connectionSettings: {httpHeadersWithUnderscoresAction: HEADERS_WITH_UNDERSCORES_DROP_HEADER}}
"""
MERGED = "defaultConfig: {connectionSettings: {httpMergeSlashes: true}}"
SENT_ON = "defaultConfig: {connectionSettings: {httpPathWithEscapedSlashesAction: UNESCAPE_AND_REDIRECT}}"
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
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec: {hosts: [shop.example.com], gateways: [shop], http: [{route: [{destination: {host: shop}}]}]}
"""
NEW = "tlsDefaults: {minProtocolVersion: TLSV1_3}"
STRONG = "tlsDefaults: {cipherSuites: [ECDHE-ECDSA-AES256-GCM-SHA384]}"


def call(mesh: Mesh, url: str = "https://shop.example.com/", **tls: str) -> Exchange:
    return mesh.request("outside", url, address="gateway", tls=tls or None)


SLOW = "http://shop.example.com/?delay=1500ms"


def test_a_request_that_stands_still_is_ended(mesh: Mesh) -> None:
    mesh.replace(GATEWAY)
    assert call(mesh, SLOW).status == 200
    mesh.replace(GATEWAY, mesh_config=STILL)
    one = call(mesh, SLOW)
    assert one.status == 504
    assert "SI" in {hop.flags for hop in one.hops}  # of the gateway or of the callee, whose is first


def test_a_request_that_takes_too_long_is_ended(mesh: Mesh) -> None:
    mesh.replace(GATEWAY, mesh_config=LONG)
    assert (call(mesh, SLOW).status, call(mesh, "http://shop.example.com/").status) == (504, 200)


def odd(mesh: Mesh) -> tuple[int | None, str | None]:
    """A request with an underscore in a header's name: its status, and that header as it arrives."""
    one = mesh.request("outside", "http://shop.example.com/", address="gateway", headers={"x_odd": "1"})
    return one.status, ",".join(one.backend.request.headers.get("x_odd", ())) if one.backend else None


def test_headers_with_underscores(mesh: Mesh) -> None:
    mesh.replace(GATEWAY)
    assert odd(mesh) == (200, "1")
    mesh.replace(GATEWAY, mesh_config=REJECTED)
    assert odd(mesh) == (400, None)
    mesh.replace(GATEWAY, mesh_config=DROPPED)
    assert odd(mesh) == (200, "")
    mesh.replace(GATEWAY, mesh_config=EDGE)
    assert odd(mesh) == (400, None)


def test_slashes(mesh: Mesh) -> None:
    def path(asked: str) -> str | None:
        one = call(mesh, f"http://shop.example.com{asked}")
        return one.backend.request.path if one.backend else one.headers.get("location")

    mesh.replace(GATEWAY)
    assert (path("/a//b"), path("/a%2Fb")) == ("/a//b", "/a%2Fb")
    mesh.replace(GATEWAY, mesh_config=MERGED)
    assert path("/a//b") == "/a/b"
    mesh.replace(GATEWAY, mesh_config=SENT_ON)
    assert path("/a%2Fb") == "/a/b"


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_tls_of_every_gateway(mesh: Mesh, version: str) -> None:
    mesh.replace(GATEWAY)
    assert call(mesh, max_version=version).status == 200
    mesh.replace(GATEWAY, mesh_config=NEW)
    assert call(mesh, max_version=version).status == (200 if version == "1.3" else None)


def test_ciphers_of_every_gateway(mesh: Mesh) -> None:
    weak = {"max_version": "1.2", "ciphers": "ECDHE-ECDSA-AES128-GCM-SHA256"}
    mesh.replace(GATEWAY)
    assert call(mesh, **weak).status == 200
    mesh.replace(GATEWAY, mesh_config=STRONG)
    assert call(mesh, **weak).outcome == "handshake-failure"
    assert call(mesh, max_version="1.2", ciphers="ECDHE-ECDSA-AES256-GCM-SHA384").status == 200
