"""Rules with fields of HTTP where connections are no HTTP: what allows is not there, what denies denies more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop")

NEAR, FAR = "shop/orders", "front/web"
BY_METHOD = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: catalog, namespace: shop}
spec:
  selector: {matchLabels: {app: catalog}}
  action: ACTION
  rules:
    - from: [{source: {namespaces: [shop]}}]
      to: [{operation: {methods: [GET], ports: ["8080", "9000"]}}]
"""
ALLOWED = BY_METHOD.replace("ACTION", "ALLOW")
DENIED = BY_METHOD.replace("ACTION", "DENY")


def outcomes(mesh: Mesh, caller: str) -> tuple[int | None, int | None, str]:
    """Of a GET and a POST, and of a connection that is neither."""
    http = [mesh.request(caller, "http://catalog.shop/", method=method).status for method in ("GET", "POST")]
    tcp = mesh.request(caller, "tcp://catalog.shop:9000", body=b"hello")
    return http[0], http[1], str(tcp.outcome) if tcp.backend is None else "response"


@pytest.mark.parametrize(
    ("policy", "near", "far"),
    [
        ("", (200, 200, "response"), (200, 200, "response")),
        (ALLOWED, (200, 403, "reset"), (403, 403, "reset")),
        (DENIED, (403, 200, "reset"), (200, 200, "response")),
    ],
    ids=["none", "allow", "deny"],
)
def test_rules_of_http(
    mesh: Mesh, policy: str, near: tuple[int, int, str], far: tuple[int, int, str]
) -> None:
    if policy:
        mesh.apply(policy)
    assert (outcomes(mesh, NEAR), outcomes(mesh, FAR)) == (near, far)
