"""TLS at listeners of the Gateway API: certificates, references across namespaces, clients that are verified."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from meshtest.envoy.pki import Authority

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh
    from meshtest.envoy.pki import Certificate

pytestmark = pytest.mark.mesh("../../fixtures/bookinfo")

Made = Callable[..., str]
HOST = "shop.example.com"
NOT_SERVED = {"handshake-failure", "reset", "refused"}
GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: istio
  CLIENTS
  listeners:
    - {name: https, port: 443, protocol: HTTPS, hostname: shop.example.com, tls: {certificateRefs: [REF]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec: {parentRefs: [{name: edge}], rules: [{backendRefs: [{name: details, port: 9080}]}]}
"""
GRANT = """
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: shop, namespace: vault}
spec:
  from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: default}]
  to: [{group: "", kind: Secret, name: shop}]
"""


def gateway(ref: str = "{name: shop}", *, clients: str = "") -> str:
    verified = f"tls: {{frontend: {{default: {{validation: {clients}}}}}}}" if clients else ""
    return GATEWAY.replace("REF", ref).replace("CLIENTS", verified)


def call(mesh: Mesh, root: str = "", *, host: str = HOST, **tls: str) -> Exchange:
    verified = {"ca": root, "verify_name": True} if root else {}
    return mesh.request("outside", f"https://{host}/", address="edge-istio.default", tls={**verified, **tls})


def test_a_listener_shows_its_certificate(
    mesh: Mesh, authority: Authority, shown: Certificate, tls_secret: Made
) -> None:
    mesh.apply(gateway(), tls_secret("shop", shown, namespace="default"))
    one = call(mesh, authority.root)
    assert one.status == 200
    assert one.peer_identity == "spiffe://cluster.local/ns/default/sa/edge-istio"
    assert call(mesh, Authority("else").root).outcome == "handshake-failure"
    assert call(mesh, host="else.example.com").outcome in NOT_SERVED


def test_another_namespace_has_to_grant_its_secret(
    mesh: Mesh, authority: Authority, shown: Certificate, tls_secret: Made
) -> None:
    mesh.apply(gateway("{name: shop, namespace: vault}"), tls_secret("shop", shown, namespace="vault"))
    assert call(mesh).outcome in NOT_SERVED
    mesh.apply(GRANT)
    assert call(mesh, authority.root).status == 200
    mesh.delete(GRANT)
    assert call(mesh).outcome in NOT_SERVED


@pytest.mark.parametrize("mode", ["AllowValidOnly", "AllowInsecureFallback"])
def test_clients_are_verified(
    mesh: Mesh,
    authority: Authority,
    shown: Certificate,
    tls_secret: Made,
    config_map: Made,
    as_client: Callable[[Certificate], dict[str, str]],
    mode: str,
) -> None:
    clients = Authority("clients")
    by = f'{{mode: {mode}, caCertificateRefs: [{{group: "", kind: ConfigMap, name: clients}}]}}'
    mesh.apply(
        gateway(clients=by),
        tls_secret("shop", shown, namespace="default"),
        config_map("clients", clients.root),
    )
    known, unknown = (one.issue("", dns=("client",)) for one in (clients, Authority("else")))
    assert call(mesh, authority.root, **as_client(known)).status == 200
    without = call(mesh, authority.root)
    wrong = call(mesh, authority.root, **as_client(unknown))
    served = (200, "response") if mode == "AllowInsecureFallback" else (None, "handshake-failure")
    assert (without.status, without.outcome) == served
    assert (wrong.status, wrong.outcome) == served
