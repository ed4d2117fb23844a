"""By what a callee's sidecar tells HTTP of the mesh from other connections where its port declares nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh

pytestmark = pytest.mark.mesh("../../fixtures/protocols")

ALICE, LEGACY, OTHER = "shop/alice", "shop/legacy", "spiffe://cluster.local/ns/other/sa/other"
UNDECLARED = """
apiVersion: v1
kind: Service
metadata: {name: books, namespace: shop}
spec: {selector: {app: server}, ports: [{name: books, port: 5000}]}
"""
ONLY_OPEN = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: server, namespace: shop}
spec: {selector: {matchLabels: {app: server}}, rules: [{to: [{operation: {paths: [/open]}}]}]}
"""


def layers(one: Exchange) -> list[str]:
    return [hop.layer for hop in one.hops if hop.side == "inbound"]


@pytest.mark.parametrize("scheme", ["http", "h2c"])
def test_a_sidecar_says_that_it_is_http(mesh: Mesh, scheme: str) -> None:
    """So that rules of paths hold there, too; what is no HTTP they let nobody send."""
    mesh.apply(UNDECLARED, ONLY_OPEN)
    found = [mesh.request(ALICE, f"{scheme}://books.shop:5000/{path}") for path in ("open", "secret")]
    assert [(one.status, layers(one)) for one in found] == [(200, ["http"]), (403, ["http"])]
    raw = mesh.request(ALICE, "tcp://books.shop:5000", body=b"\x00hello")
    assert (raw.backend, layers(raw)) == (None, ["tcp"])


@pytest.mark.parametrize(
    ("alpn", "layer", "statuses"), [("istio-http/1.1", "http", (200, 403)), ("istio", "tcp", (None, None))]
)
def test_who_does_not_say_so_is_taken_for_tcp(
    mesh: Mesh, alpn: str, layer: str, statuses: tuple[int | None, int | None]
) -> None:
    """Its requests arrive, but no rule of HTTP is about them: one that allows paths allows them none."""
    mesh.apply(UNDECLARED)

    def asked(path: str) -> Exchange:
        tls = {"alpn": (alpn,), "server_name": "any.name"}
        return mesh.request(LEGACY, f"https://books.shop:5000/{path}", identity=OTHER, tls=tls)

    one = asked("open")
    assert (one.status, layers(one)) == (200, [layer])
    mesh.apply(ONLY_OPEN)
    assert (asked("open").status, asked("secret").status) == statuses
