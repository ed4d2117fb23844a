"""Which pages of other origins a VirtualService lets read answers: origins, credentials, preflights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop")

CLIENT, URL = "shop/orders", "http://catalog/books"
BY_REGEX = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog]
  http:
    - corsPolicy:
        allowOrigins: [{regex: "https://[a-z]+[.]example[.]com"}]
        allowMethods: [GET, PUT]
        allowHeaders: [x-cart, x-user]
        exposeHeaders: [x-total]
        maxAge: 10m
        allowCredentials: true
      route: [{destination: {host: catalog}}]
"""
BY_OLD_NAMES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog]
  http:
    - corsPolicy: {allowOrigin: [https://books.example.com], allowMethods: [GET, PUT], allowCredentials: false}
      route: [{destination: {host: catalog}}]
"""
FORWARDING = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog]
  http:
    - corsPolicy: {allowOrigins: [{exact: https://books.example.com}], unmatchedPreflights: FORWARD}
      route: [{destination: {host: catalog}}]
"""
IGNORING = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog]
  http:
    - corsPolicy: {allowOrigins: [{exact: https://books.example.com}], unmatchedPreflights: IGNORE}
      route: [{destination: {host: catalog}}]
"""


def told(one: Exchange) -> dict[str, str]:
    """What the answer says of other origins."""
    begin = "access-control-"
    return {name[len(begin) :]: text for name, text in one.headers if name.startswith(begin)}


def preflight(mesh: Mesh, origin: str) -> Exchange:
    asked = {"Origin": origin, "Access-Control-Request-Method": "PUT"}
    return mesh.request(CLIENT, URL, method="OPTIONS", headers=asked)


def test_origins_by_expression_and_their_credentials(mesh: Mesh) -> None:
    mesh.apply(BY_REGEX)
    first = preflight(mesh, "https://books.example.com")
    assert (first.status, first.backend) == (200, None)
    assert told(first) == {
        "allow-origin": "https://books.example.com",
        "allow-credentials": "true",
        "allow-methods": "GET,PUT",
        "allow-headers": "x-cart,x-user",
        "max-age": "600",
        "expose-headers": "x-total",
    }
    then = mesh.request(CLIENT, URL, headers={"Origin": "https://books.example.com"})
    assert told(then) == {
        "allow-origin": "https://books.example.com",
        "allow-credentials": "true",
        "expose-headers": "x-total",
    }
    for near in ("https://books.example.com.evil.test", "http://books.example.com", "https://2.example.com"):
        assert told(mesh.request(CLIENT, URL, headers={"Origin": near})) == {}, near


def test_origins_by_their_old_name(mesh: Mesh) -> None:
    mesh.apply(BY_OLD_NAMES)
    assert told(preflight(mesh, "https://books.example.com")) == {
        "allow-origin": "https://books.example.com",
        "allow-methods": "GET,PUT",
    }
    assert told(mesh.request(CLIENT, URL, headers={"Origin": "https://toys.example.com"})) == {}


@pytest.mark.parametrize(("policy", "arrives"), [(FORWARDING, True), (IGNORING, False)])
def test_what_becomes_of_preflights_of_other_origins(mesh: Mesh, policy: str, *, arrives: bool) -> None:
    mesh.apply(policy)
    one = preflight(mesh, "https://toys.example.com")
    assert (one.status, one.backend is not None, told(one)) == (200, arrives, {})
    known = preflight(mesh, "https://books.example.com")
    assert (known.backend, told(known)["allow-origin"]) == (None, "https://books.example.com")
