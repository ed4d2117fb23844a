"""TLS that sidecars speak to hosts outside: what they show, whom they ask for, whom they take; at each place to say so.

The host takes only clients of its own authority. Its sidecars find files where annotations mount a Secret.
"""

from __future__ import annotations

import base64
import datetime as dt
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from meshtest.envoy.pki import Authority

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh

PARTNER = Authority("partner")
SERVER = PARTNER.issue("", dns=("books.partner.example", "toys.partner.example"))
CLIENT = PARTNER.issue("", dns=("shopper.example",))


def revoked(*certificates: str) -> str:
    """A list of the partner's by which its own certificates are worth nothing any more."""
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateRevocationListBuilder(
        issuer_name=x509.load_pem_x509_certificate(PARTNER.root.encode()).subject,
        last_update=now - dt.timedelta(minutes=5),
        next_update=now + dt.timedelta(days=1),
    )
    for each in certificates:
        number = x509.load_pem_x509_certificate(each.encode()).serial_number
        gone = x509.RevokedCertificateBuilder(
            serial_number=number, revocation_date=now - dt.timedelta(minutes=1)
        )
        made = made.add_revoked_certificate(gone.build())
    return made.sign(PARTNER._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


SHOPPER = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: shopper}}
spec:
  selector: {{matchLabels: {{app: shopper}}}}
  template:
    metadata:
      labels: {{app: shopper}}
      annotations:
        sidecar.istio.io/userVolume: '{{"partner": {{"secret": {{"secretName": "partner-files"}}}}}}'
        sidecar.istio.io/userVolumeMount: '{{"partner": {{"mountPath": "/etc/partner"}}}}'
    spec: {{containers: [{{name: shopper, image: shopper}}]}}
---
apiVersion: v1
kind: Secret
metadata: {{name: partner-files}}
data:
  ca.pem: {encoded(PARTNER.root)}
  client.pem: {encoded(CLIENT.certificate)}
  client-key.pem: {encoded(CLIENT.key)}
  none.crl: {encoded(revoked())}
  server.crl: {encoded(revoked(SERVER.certificate))}
---
apiVersion: v1
kind: Secret
metadata: {{name: partner}}
type: kubernetes.io/tls
data: {{tls.crt: {encoded(CLIENT.certificate)}, tls.key: {encoded(CLIENT.key)}, ca.crt: {encoded(PARTNER.root)}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: secrets}}
rules: [{{apiGroups: [""], resources: [secrets], verbs: [list]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: secrets}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: secrets}}
subjects: [{{kind: ServiceAccount, name: default, namespace: default}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: partner}}
spec:
  hosts: [every-port.partner.example, one-port.partner.example, subset.partner.example, port-of-subset.partner.example]
  location: MESH_EXTERNAL
  resolution: DNS
  ports: [{{number: 80, name: http, protocol: HTTP, targetPort: 443}}]
  endpoints: [{{address: books.partner.example, labels: {{app: partner}}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: subset}}
spec:
  hosts: [subset.partner.example]
  http: [{{route: [{{destination: {{host: subset.partner.example, subset: all}}}}]}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: port-of-subset}}
spec:
  hosts: [port-of-subset.partner.example]
  http: [{{route: [{{destination: {{host: port-of-subset.partner.example, subset: all}}}}]}}]
"""
PLACES = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: every-port}
spec:
  host: every-port.partner.example
  workloadSelector: {matchLabels: {app: shopper}}
  trafficPolicy: {tls: SPOKEN}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: one-port}
spec:
  host: one-port.partner.example
  workloadSelector: {matchLabels: {app: shopper}}
  trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: SPOKEN}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: subset}
spec:
  host: subset.partner.example
  workloadSelector: {matchLabels: {app: shopper}}
  subsets: [{name: all, labels: {app: partner}, trafficPolicy: {tls: SPOKEN}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: port-of-subset}
spec:
  host: port-of-subset.partner.example
  workloadSelector: {matchLabels: {app: shopper}}
  subsets:
    - name: all
      labels: {app: partner}
      trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: SPOKEN}]}
"""
BY_FILES = PLACES.replace(
    "SPOKEN",
    "{mode: MUTUAL, clientCertificate: /etc/partner/client.pem, privateKey: /etc/partner/client-key.pem,"
    " caCertificates: /etc/partner/ca.pem, sni: books.partner.example, subjectAltNames: [toys.partner.example]}",
)
OF_SOMEBODY_ELSE = PLACES.replace(
    "SPOKEN",
    "{mode: MUTUAL, clientCertificate: /etc/partner/client.pem, privateKey: /etc/partner/client-key.pem,"
    " caCertificates: /etc/partner/ca.pem, sni: books.partner.example, subjectAltNames: [else.partner.example]}",
)
WITH_LIST = PLACES.replace(
    "SPOKEN",
    "{mode: MUTUAL, clientCertificate: /etc/partner/client.pem, privateKey: /etc/partner/client-key.pem,"
    " caCertificates: /etc/partner/ca.pem, sni: books.partner.example, caCrl: /etc/partner/server.crl}",
)
WITH_EMPTY_LIST = PLACES.replace(
    "SPOKEN",
    "{mode: MUTUAL, clientCertificate: /etc/partner/client.pem, privateKey: /etc/partner/client-key.pem,"
    " caCertificates: /etc/partner/ca.pem, sni: books.partner.example, caCrl: /etc/partner/none.crl}",
)
UNVERIFIED = PLACES.replace(
    "SPOKEN",
    "{mode: MUTUAL, clientCertificate: /etc/partner/client.pem, privateKey: /etc/partner/client-key.pem,"
    " sni: books.partner.example, insecureSkipVerify: true}",
)
BY_SYSTEM = PLACES.replace(
    "SPOKEN",
    "{mode: MUTUAL, clientCertificate: /etc/partner/client.pem, privateKey: /etc/partner/client-key.pem,"
    " sni: books.partner.example}",
)
BY_SECRET = PLACES.replace("SPOKEN", "{mode: MUTUAL, credentialName: partner, sni: toys.partner.example}")
NOTHING_SHOWN = PLACES.replace(
    "SPOKEN", "{mode: SIMPLE, caCertificates: /etc/partner/ca.pem, sni: toys.partner.example}"
)

pytestmark = pytest.mark.mesh(
    SHOPPER,
    external={
        "books.partner.example": {
            "ports": ["443/HTTPS"],
            "tls": {
                "mode": "MUTUAL",
                "serverCertificate": SERVER.certificate,
                "privateKey": SERVER.key,
                "caCertificates": PARTNER.root,
            },
        }
    },
)
places = pytest.mark.parametrize("place", ["every-port", "one-port", "subset", "port-of-subset"])


def call(mesh: Mesh, place: str, policy: str) -> Exchange:
    mesh.apply(policy)
    return mesh.request("shopper", f"http://{place}.partner.example/", address="books.partner.example")


@places
@pytest.mark.parametrize(
    ("policy", "name"), [(BY_FILES, "books"), (BY_SECRET, "toys")], ids=["files", "secret"]
)
def test_a_client_is_known_by_its_certificate(mesh: Mesh, place: str, policy: str, name: str) -> None:
    one = call(mesh, place, policy)
    assert one.status == 200, one
    assert one.backend is not None
    assert one.backend.request.sni == f"{name}.partner.example"
    assert "DNS:shopper.example" in one.backend.request.client_certificate


@places
@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (OF_SOMEBODY_ELSE, "SAN_matcher"),
        (WITH_LIST, "certificate_revoked"),
        (BY_SYSTEM, "certificate_verification_error_at_depth_1"),
        (NOTHING_SHOWN, ""),
    ],
    ids=["other-name", "revoked", "system", "no-certificate"],
)
def test_whom_a_client_does_not_take(mesh: Mesh, place: str, policy: str, reason: str) -> None:
    one = call(mesh, place, policy)
    assert one.status == 503
    assert reason in (one.hops[0].raw["upstream_failure"] or "")


@places
@pytest.mark.parametrize("policy", [WITH_EMPTY_LIST, UNVERIFIED], ids=["not-revoked", "unverified"])
def test_whom_it_takes(mesh: Mesh, place: str, policy: str) -> None:
    """The twins."""
    assert call(mesh, place, policy).status == 200
