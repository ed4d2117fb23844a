"""BackendTLSPolicy: a gateway that speaks TLS to an application, and verifies whom it reaches."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from meshtest import Mesh
from meshtest.envoy.pki import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from meshtest import Exchange

pytestmark = pytest.mark.mesh
NAME = "vault.internal"
SERVER = """
import http.server, ssl, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("x-sni", names.get(self.connection, ""))
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *_): pass
names = {}
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
context.sni_callback = lambda connection, name, _: names.__setitem__(connection, name or "")
server = http.server.ThreadingHTTPServer(("0.0.0.0", 8443), Answer)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: istio
  listeners: [{name: http, port: 80, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: vault}
spec: {parentRefs: [{name: edge}], rules: [{backendRefs: [{name: vault, port: 443}]}]}
"""
POLICY = """
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: vault}
spec:
  targetRefs: [{group: "", kind: Service, name: vault}]
  validation: {hostname: vault.internal, caCertificateRefs: [{group: "", kind: ConfigMap, name: vault-ca}]}
"""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Mesh]:
    """The fixture mesh, with a vault whose certificate the authority of the tests signed."""
    folder: Path = tmp_path_factory.mktemp("vault")
    held = authority.issue("", dns=(NAME,))
    (folder / "server.pem").write_text(held.certificate + held.key)
    (folder / "server.py").write_text(SERVER)
    command = [sys.executable, *(str(folder / name) for name in ("server.py", "server.pem"))]
    with Mesh.from_manifests("fixtures/edge/shop.yaml", commands={"vault": command}) as made:
        yield made


def call(mesh: Mesh) -> Exchange:
    return mesh.request("outside", "http://vault.example.com/", address="edge-istio.default")


def test_the_gateway_speaks_tls_under_the_name_of_the_policy(
    mesh: Mesh, authority: Authority, config_map: Callable[..., str]
) -> None:
    mesh.replace(GATEWAY, POLICY, config_map("vault-ca", authority.root))
    one = call(mesh)
    assert one.status == 200
    assert one.headers["x-sni"] == NAME


def test_another_authority_is_not_trusted(mesh: Mesh, config_map: Callable[..., str]) -> None:
    mesh.replace(GATEWAY, POLICY, config_map("vault-ca", Authority("else").root))
    one = call(mesh)
    assert one.status == 503
    assert "UF" in one.hops[0].flags


@pytest.mark.parametrize(("name", "status"), [(NAME, 200), ("else.internal", 503)])
def test_the_names_of_the_policy_are_verified(
    mesh: Mesh, authority: Authority, config_map: Callable[..., str], name: str, status: int
) -> None:
    names = f"{{subjectAltNames: [{{type: Hostname, hostname: {name}}}], hostname:"
    mesh.replace(GATEWAY, POLICY.replace("{hostname:", names), config_map("vault-ca", authority.root))
    assert call(mesh).status == status


def test_without_the_policy_it_speaks_plaintext(mesh: Mesh) -> None:
    mesh.replace(GATEWAY)
    assert call(mesh).status != 200
