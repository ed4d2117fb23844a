"""What an external authorization service is asked and what of its answer is passed on; and what holds without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh

pytestmark = pytest.mark.mesh("fixtures/protocols", "fixtures/ext-authz")

ALICE, URL = "shop/alice", "http://server.shop/orders"
ASK = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ask, namespace: shop}
spec: {selector: {matchLabels: {app: server}}, action: CUSTOM, provider: {name: ask}, rules: [{}]}
"""
PLAIN = """
extensionProviders:
  - name: ask
    envoyExtAuthzHttp:
      service: ext-authz.authz.svc.cluster.local
      port: 8000
      includeRequestHeadersInCheck: [x-ext-authz]
"""
TELLING = """
extensionProviders:
  - name: ask
    envoyExtAuthzHttp:
      service: ext-authz.authz.svc.cluster.local
      port: 8000
      pathPrefix: /check
      includeHeadersInCheck: [x-ext-authz, x-tenant]
      headersToDownstreamOnAllow: ["x-ext-authz-*"]
"""
NOBODY = """
extensionProviders:
  - name: ask
    envoyExtAuthzHttp: {service: ext-authz.authz.svc.cluster.local, port: 9, timeout: 1s}
"""
NOBODY_OPEN = """
extensionProviders:
  - name: ask
    envoyExtAuthzHttp: {service: ext-authz.authz.svc.cluster.local, port: 9, timeout: 1s, failOpen: true}
"""
NOBODY_IN_GRPC = """
extensionProviders:
  - name: ask
    envoyExtAuthzGrpc: {service: ext-authz.authz.svc.cluster.local, port: 9, timeout: 1s, statusOnError: "503"}
"""
BODIES = """
extensionProviders:
  - name: ask
    envoyExtAuthzGrpc:
      service: ext-authz.authz.svc.cluster.local
      port: 9000
      includeRequestBodyInCheck: {maxRequestBytes: 8, allowPartialMessage: true}
"""
WITHOUT_BODIES = """
extensionProviders:
  - name: ask
    envoyExtAuthzGrpc: {service: ext-authz.authz.svc.cluster.local, port: 9000}
"""
ALLOWED = {"x-ext-authz": "allow", "x-tenant": "acme"}


def call(mesh: Mesh, **fields: Any) -> tuple[Exchange, dict[str, Any]]:
    """A request that is allowed, and what the service was asked."""
    mesh.received("authz/ext-authz", forget=True)
    one = mesh.request(ALICE, URL, headers=ALLOWED, **fields)
    (asked,) = mesh.received("authz/ext-authz")
    return one, asked


def told(one: Exchange) -> str | None:
    """The service's header, as far as it came to the caller."""
    return one.headers.get("x-ext-authz-check-result")


def test_what_it_is_asked_and_what_is_passed_on(mesh: Mesh) -> None:
    mesh.replace(ASK, mesh_config=PLAIN)
    one, asked = call(mesh)
    assert (one.status, asked["path"], asked["headers"].get("x-tenant"), told(one)) == (
        200,
        "/orders",
        None,
        None,
    )
    mesh.replace(ASK, mesh_config=TELLING)
    one, asked = call(mesh)
    assert (asked["path"], asked["headers"]["x-tenant"], told(one)) == ("/check/orders", "acme", "allowed")


def test_so_much_of_the_body(mesh: Mesh) -> None:
    mesh.replace(ASK, mesh_config=WITHOUT_BODIES)
    one, asked = call(mesh, method="POST", body=b"0123456789")
    assert (one.status, asked["body"]) == (200, "")
    mesh.replace(ASK, mesh_config=BODIES)
    one, asked = call(mesh, method="POST", body=b"0123456789")
    assert one.backend is not None
    assert (asked["body"], one.backend.request.body) == ("01234567", b"0123456789")


def test_without_the_service(mesh: Mesh) -> None:
    mesh.replace(ASK, mesh_config=NOBODY)
    assert mesh.request(ALICE, URL, headers=ALLOWED).status == 403
    mesh.replace(ASK, mesh_config=NOBODY_OPEN)
    assert mesh.request(ALICE, URL, headers=ALLOWED).status == 200
    mesh.replace(ASK, mesh_config=NOBODY_IN_GRPC)
    assert mesh.request(ALICE, URL, headers=ALLOWED).status == 503
