"""A sidecar that ends TLS of callers outside the mesh, as Istio's experimental switch lets it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Mesh
    from meshtest.envoy.pki import Authority

pytestmark = pytest.mark.mesh(
    "../../fixtures/bookinfo",
    "../../fixtures/legacy",
    engine_env={"ENABLE_TLS_ON_SIDECAR_INGRESS": True},
)

Made = Callable[..., str]
HOST = "vault.default.svc.cluster.local"
VAULT = """
apiVersion: v1
kind: Service
metadata: {name: vault}
spec:
  selector: {app: vault}
  ports: [{name: https, port: 8443, targetPort: 9443}, {name: http, port: 80, targetPort: 9080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: vault}
spec:
  selector: {matchLabels: {app: vault}}
  template:
    metadata:
      labels: {app: vault}
      annotations:
        sidecar.istio.io/userVolume: '{"certs": {"secret": {"secretName": "vault"}}}'
        sidecar.istio.io/userVolumeMount: '{"certs": {"mountPath": "/etc/vault", "readOnly": true}}'
    spec:
      containers: [{name: vault, image: "registry.example/vault:1", ports: [{containerPort: 8080}]}]
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: vault}
spec:
  workloadSelector: {labels: {app: vault}}
  ingress:
    - port: {number: 9443, protocol: HTTPS, name: https}
      defaultEndpoint: 127.0.0.1:8080
      tls:
        mode: MUTUAL
        serverCertificate: /etc/vault/tls.crt
        privateKey: /etc/vault/tls.key
        caCertificates: /etc/vault/ca.crt
    - {port: {number: 9080, protocol: HTTP, name: http}, defaultEndpoint: "127.0.0.1:8080"}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: vault}
spec:
  selector: {matchLabels: {app: vault}}
  mtls: {mode: STRICT}
  portLevelMtls: {9443: {mode: DISABLE}}
---
"""


def test_whoever_shows_a_certificate_comes_in_past_strict_mtls(
    mesh: Mesh, authority: Authority, secret: Made
) -> None:
    own, client = authority.issue("", dns=(HOST,)), authority.issue("", dns=("client.example.com",))
    files = {"tls__crt": own.certificate, "tls__key": own.key, "ca__crt": authority.root}
    mesh.apply(VAULT, secret("vault", namespace="default", **files))
    trusting = {"ca": authority.root, "verify_name": True}
    showing = {**trusting, "certificate": client.certificate, "key": client.key}
    let_in = mesh.request("legacy/batch", f"https://{HOST}:8443/", tls=showing)
    assert (let_in.status, let_in.backend and let_in.backend.workload) == (200, "vault")
    assert mesh.request("legacy/batch", f"https://{HOST}:8443/", tls=trusting).outcome == "handshake-failure"
    assert mesh.request("legacy/batch", f"http://{HOST}/").outcome == "reset"
    inside = mesh.request("reviews-v2", f"http://{HOST}/")
    assert (inside.status, inside.peer_identity) == (
        200,
        "spiffe://cluster.local/ns/default/sa/bookinfo-reviews",
    )
