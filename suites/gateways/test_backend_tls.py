"""BackendTLSPolicy: what a gateway speaks to its backends, and whom it believes.

The backend is a stand-in that shows the certificate which its pod mounts from a Secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from meshtest.envoy.pki import Authority

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest import Exchange, Mesh

pytestmark = pytest.mark.mesh("../../fixtures/legacy")

NAME, ALIAS, IDENTITY = "vault.example.com", "safe.example.com", "spiffe://example.com/vault"
MESH = """
apiVersion: v1
kind: Namespace
metadata: {name: bank}
---
apiVersion: v1
kind: Service
metadata: {name: vault, namespace: bank}
spec:
  selector: {app: vault}
  ports: [{name: https, port: 443, targetPort: 8443}, {name: https-too, port: 8443, targetPort: 8443}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: vault, namespace: bank}
spec:
  selector: {matchLabels: {app: vault}}
  template:
    metadata: {labels: {app: vault}}
    spec:
      containers:
        - {name: vault, image: example.test/vault, volumeMounts: [{name: tls, mountPath: /etc/tls}]}
      volumes: [{name: tls, secret: {secretName: vault}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: bank}
spec:
  gatewayClassName: istio
  listeners: [{name: http, port: 80, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: vault, namespace: bank}
spec:
  parentRefs: [{name: edge}]
  rules:
    - matches: [{path: {value: /too}}]
      backendRefs: [{name: vault, port: 8443}]
    - backendRefs: [{name: vault, port: 443}]
"""
POLICY = """
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: NAME, namespace: bank}
spec:
  targetRefs: [{group: "", kind: Service, name: vault}]
  validation: {hostname: HOST, caCertificateRefs: [{group: "", kind: ConfigMap, name: CA}]}
"""


@pytest.fixture(scope="module")
def given(authority: Authority, secret: Callable[..., str], config_map: Callable[..., str]) -> str:
    """The mesh, what its backend shows, and whom one may believe."""
    shown = authority.issue(IDENTITY, dns=(NAME, ALIAS))
    roots = {"ours": authority.root, "strangers": Authority("strangers").root, "none": ""}
    maps = [config_map(name, root, "bank") for name, root in roots.items()]
    held = secret("vault", namespace="bank", tls__crt=shown.certificate, tls__key=shown.key)
    return "\n---\n".join([MESH, held, *maps])


def policy(
    name: str = "vault", host: str = NAME, roots: str = "ours", port: str = "", **validation: object
) -> str:
    body = yaml.safe_load(POLICY.replace("NAME", name).replace("HOST", host).replace("CA", roots))
    body["spec"]["validation"] |= validation
    body["spec"]["targetRefs"][0] |= {"sectionName": port} if port else {}
    return yaml.safe_dump(body)


def ask(mesh: Mesh, path: str = "/") -> Exchange:
    one = mesh.request("outside", f"http://bank.example.com{path}", address="gateway")
    assert one.complete
    return one


def test_without_a_policy_the_gateway_speaks_plaintext(mesh: Mesh, given: str) -> None:
    mesh.replace(given)
    assert ask(mesh).status == 503  # the backend speaks TLS only


def test_it_speaks_tls_and_says_the_name_of_the_policy(mesh: Mesh, given: str) -> None:
    mesh.replace(given, policy())
    one = ask(mesh)
    assert (one.status, one.backend and one.backend.request.sni) == (200, NAME)


OTHER_SAN = {"type": "Hostname", "hostname": "other.example.com"}
BELIEVED: tuple[tuple[str, dict[str, Any], int], ...] = (
    ("a name that it shows", {"host": ALIAS}, 200),
    # Istio asks for the policy's name, and compares the certificate with subjectAltNames alone
    # (istio/istio: pilot/pkg/networking/core/cluster_tls.go).
    ("another name", {"host": "other.example.com"}, 200),
    ("another authority", {"roots": "strangers"}, 503),
    ("no certificate", {"roots": "none"}, 503),
    ("no ConfigMap", {"roots": "gone"}, 503),
    ("a subjectAltName", {"subjectAltNames": [{"type": "Hostname", "hostname": ALIAS}]}, 200),
    ("another subjectAltName", {"subjectAltNames": [OTHER_SAN]}, 503),
    ("a URI", {"subjectAltNames": [{"type": "URI", "uri": IDENTITY}]}, 200),
    ("another URI", {"subjectAltNames": [{"type": "URI", "uri": "spiffe://example.com/other"}]}, 503),
)


def test_it_believes_whom_the_policy_says(mesh: Mesh, given: str) -> None:
    """In one test, which spares the pods from being started for each of them."""
    seen = {}
    for what, changed, _ in BELIEVED:
        mesh.replace(given, policy(**changed))
        seen[what] = ask(mesh).status
    assert seen == {what: status for what, _, status in BELIEVED}


def test_of_two_policies_for_one_service_the_older_holds(mesh: Mesh, given: str) -> None:
    mesh.replace(given, policy("older"))
    mesh.apply(policy("newer", roots="strangers"))
    assert ask(mesh).status == 200
    mesh.delete(policy("older"))
    assert ask(mesh).status == 503


def test_a_policy_for_one_port_wins_over_that_for_the_service(mesh: Mesh, given: str) -> None:
    mesh.replace(given, policy("all", roots="strangers"), policy("one", port="https-too"))
    assert (ask(mesh).status, ask(mesh, "/too").status) == (503, 200)
