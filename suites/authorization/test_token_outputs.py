"""What becomes of a token that was taken: its payload in a header, and claims that are lists in one text."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh

pytestmark = pytest.mark.mesh("fixtures/protocols")

ALICE, URL = "shop/alice", "http://server.shop/"
PAYLOAD = """
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: server, namespace: shop}
spec:
  selector: {matchLabels: {app: server}}
  jwtRules:
    - issuer: issuer.example.com
      jwks: KEYS
      outputPayloadToHeader: x-payload
"""
LISTS = """
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: server, namespace: shop}
spec:
  selector: {matchLabels: {app: server}}
  jwtRules:
    - issuer: issuer.example.com
      jwks: KEYS
      spaceDelimitedClaims: [roles]
"""
NO_LISTS = """
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: server, namespace: shop}
spec:
  selector: {matchLabels: {app: server}}
  jwtRules: [{issuer: issuer.example.com, jwks: KEYS}]
"""
READERS = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: server, namespace: shop}
spec:
  selector: {matchLabels: {app: server}}
  rules: [{when: [{key: "request.auth.claims[roles]", values: [reader]}]}]
"""


def call(mesh: Mesh, *policies: str, roles: str) -> Exchange:
    mesh.replace(*(each.replace("KEYS", f"'{mesh.jwks}'") for each in policies))
    token = mesh.token(issuer="issuer.example.com", subject="ann", claims={"roles": roles})
    return mesh.request(ALICE, URL, headers={"authorization": f"Bearer {token}"})


def test_the_payload_in_a_header(mesh: Mesh) -> None:
    one = call(mesh, PAYLOAD, roles="reader")
    assert one.backend is not None
    (told,) = one.backend.request.headers["x-payload"]
    payload = json.loads(base64.urlsafe_b64decode(told + "=" * (-len(told) % 4)))
    assert (payload["iss"], payload["sub"], payload["roles"]) == ("issuer.example.com", "ann", "reader")
    assert "authorization" not in one.backend.request.headers
    without = call(mesh, NO_LISTS, roles="reader")
    assert without.backend is not None
    assert "x-payload" not in without.backend.request.headers


@pytest.mark.parametrize(
    ("policy", "roles", "status"),
    [
        (LISTS, "writer reader", 200),
        (LISTS, "writer", 403),
        (NO_LISTS, "writer reader", 403),
        (NO_LISTS, "reader", 200),
    ],
)
def test_claims_that_are_lists_in_one_text(mesh: Mesh, policy: str, roles: str, status: int) -> None:
    assert call(mesh, policy, READERS, roles=roles).status == status
