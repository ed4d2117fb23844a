"""TLS of a Gateway's servers: versions, ciphers, two certificates, and which clients are taken for what they show."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from meshtest.envoy.pki import Authority

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh
    from meshtest.envoy.pki import Certificate

pytestmark = pytest.mark.mesh("../../fixtures/bookinfo")

Made = Callable[..., str]
AsClient = Callable[["Certificate"], dict[str, str]]
HOST = "shop.example.com"
CLIENTS = Authority("clients")
KNOWN, OTHER = (CLIENTS.issue("", dns=(f"{name}.example.com",)) for name in ("known", "other"))
STRANGER = Authority("else").issue("", dns=("known.example.com",))
LEAF = x509.load_pem_x509_certificate(KNOWN.certificate.encode())
HASH = LEAF.fingerprint(hashes.SHA256()).hex()
"""Of the known client's certificate, and of its key below."""
PUBLIC = LEAF.public_key().public_bytes(
    serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
)
SPKI = base64.b64encode(hashlib.sha256(PUBLIC).digest()).decode()
GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: [shop.example.com], tls: SETTINGS}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop.example.com]
  gateways: [shop]
  http: [{route: [{destination: {host: reviews, port: {number: 9080}}}]}]
"""
USUAL = GATEWAY.replace("SETTINGS", "{mode: SIMPLE, credentialName: shop}")
AT_LEAST_1_3 = GATEWAY.replace(
    "SETTINGS", "{mode: SIMPLE, credentialName: shop, minProtocolVersion: TLSV1_3}"
)
AT_MOST_1_2 = GATEWAY.replace("SETTINGS", "{mode: SIMPLE, credentialName: shop, maxProtocolVersion: TLSV1_2}")
ONE_CIPHER = GATEWAY.replace(
    "SETTINGS",
    "{mode: SIMPLE, credentialName: shop, maxProtocolVersion: TLSV1_2,"
    " cipherSuites: [ECDHE-ECDSA-AES256-GCM-SHA384]}",
)
MUTUAL = GATEWAY.replace(
    "SETTINGS", "{mode: MUTUAL, credentialName: shop, caCertCredentialName: clients-cacert}"
)
BY_NAME = GATEWAY.replace(
    "SETTINGS",
    "{mode: MUTUAL, credentialName: shop, caCertCredentialName: clients-cacert, subjectAltNames: [known.example.com]}",
)
BY_HASH = GATEWAY.replace(
    "SETTINGS",
    f"{{mode: MUTUAL, credentialName: shop, caCertCredentialName: clients-cacert, verifyCertificateHash: [{HASH}]}}",
)
BY_KEY = GATEWAY.replace(
    "SETTINGS",
    f"{{mode: MUTUAL, credentialName: shop, caCertCredentialName: clients-cacert, verifyCertificateSpki: ['{SPKI}']}}",
)
UNVERIFIED = GATEWAY.replace(
    "SETTINGS",
    "{mode: MUTUAL, credentialName: shop, caCertCredentialName: clients-cacert, insecureSkipVerify: true}",
)
TWO = GATEWAY.replace("SETTINGS", "{mode: SIMPLE, credentialNames: [rsa, shop]}")
"""Of which the kinds of key differ: clients get the one that they can verify."""
BY_FILES = GATEWAY.replace(
    "SETTINGS",
    "{mode: SIMPLE, tlsCertificates: ["
    "{serverCertificate: /etc/istio/ingressgateway-certs/rsa.crt,"
    " privateKey: /etc/istio/ingressgateway-certs/rsa.key},"
    "{serverCertificate: /etc/istio/ingressgateway-certs/tls.crt,"
    " privateKey: /etc/istio/ingressgateway-certs/tls.key}]}",
)
WITH_LIST = GATEWAY.replace(
    "SETTINGS",
    "{mode: MUTUAL, serverCertificate: /etc/istio/ingressgateway-certs/tls.crt,"
    " privateKey: /etc/istio/ingressgateway-certs/tls.key,"
    " caCertificates: /etc/istio/ingressgateway-ca-certs/ca.crt,"
    " caCrl: /etc/istio/ingressgateway-ca-certs/revoked.crl}",
)
ECDSA, RSA = "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384"
"""What a client that speaks nothing else wants to see a key of."""


def call(mesh: Mesh, root: str = "", client: Certificate | None = None, **tls: str) -> Exchange:
    """Over TLS, the server verified by a root, with a client's certificate."""
    shown = {"certificate": client.certificate, "key": client.key} if client else {}
    verified = {"ca": root, "verify_name": True} if root else {}
    return mesh.request("outside", f"https://{HOST}/", address="gateway", tls={**verified, **shown, **tls})


def kind_of_key(one: Exchange) -> str:
    assert one.status == 200, one
    key = x509.load_pem_x509_certificate(one.server_certificate.encode()).public_key()
    return "rsa" if isinstance(key, rsa.RSAPublicKey) else "ecdsa"


def of_rsa(authority: Authority) -> dict[str, str]:
    """A certificate for the host with a key of the old kind."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateBuilder(
        issuer_name=x509.load_pem_x509_certificate(authority.root.encode()).subject,
        subject_name=x509.Name([]),
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - dt.timedelta(minutes=5),
        not_valid_after=now + dt.timedelta(days=1),
    )
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=True)
    form = serialization.PrivateFormat.PKCS8
    return {
        "crt": made.sign(authority._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode(),
        "key": key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode(),
    }


@pytest.mark.parametrize(
    ("policy", "asked", "served"),
    [
        (USUAL, {"max_version": "1.2"}, True),
        (AT_LEAST_1_3, {"max_version": "1.2"}, False),
        (AT_LEAST_1_3, {}, True),
        (USUAL, {"min_version": "1.3"}, True),
        (AT_MOST_1_2, {"min_version": "1.3"}, False),
        (AT_MOST_1_2, {}, True),
        (USUAL, {"max_version": "1.2", "ciphers": "ECDHE-ECDSA-AES128-GCM-SHA256"}, True),
        (ONE_CIPHER, {"max_version": "1.2", "ciphers": "ECDHE-ECDSA-AES128-GCM-SHA256"}, False),
        (ONE_CIPHER, {"max_version": "1.2", "ciphers": ECDSA}, True),
    ],
)
def test_versions_and_ciphers(
    mesh: Mesh,
    authority: Authority,
    shown: Certificate,
    tls_secret: Made,
    policy: str,
    asked: dict[str, Any],
    *,
    served: bool,
) -> None:
    mesh.apply(policy, tls_secret("shop", shown))
    one = call(mesh, authority.root, **asked)
    assert (one.status, one.outcome) == ((200, "response") if served else (None, "handshake-failure"))


@pytest.mark.parametrize(
    ("policy", "served"),
    [
        (MUTUAL, {"known", "other"}),
        (BY_NAME, {"known"}),
        (BY_HASH, {"known"}),
        (BY_KEY, {"known"}),
        (UNVERIFIED, {"known", "other", "stranger"}),
    ],
    ids=["mutual", "name", "hash", "key", "unverified"],
)
def test_which_clients_are_served(
    mesh: Mesh, shown: Certificate, secret: Made, tls_secret: Made, policy: str, served: set[str]
) -> None:
    mesh.apply(policy, tls_secret("shop", shown), secret("clients-cacert", ca__crt=CLIENTS.root))
    clients = {"known": KNOWN, "other": OTHER, "stranger": STRANGER, "nobody": None}
    found = {name: call(mesh, "", client) for name, client in clients.items()}
    assert {name for name, one in found.items() if one.status == 200} == served
    assert {one.outcome for name, one in found.items() if name not in served} <= {
        "handshake-failure",
        "reset",
    }


def test_a_client_gets_the_certificate_that_it_understands(
    mesh: Mesh, authority: Authority, shown: Certificate, secret: Made, tls_secret: Made
) -> None:
    old = of_rsa(authority)
    mesh.apply(TWO, tls_secret("shop", shown), secret("rsa", cert=old["crt"], key=old["key"]))
    for ciphers, kind in ((ECDSA, "ecdsa"), (RSA, "rsa")):
        assert kind_of_key(call(mesh, authority.root, max_version="1.2", ciphers=ciphers)) == kind
    mesh.apply(USUAL)
    assert call(mesh, authority.root, max_version="1.2", ciphers=RSA).outcome == "handshake-failure"


def test_so_it_does_from_files(mesh: Mesh, authority: Authority, shown: Certificate, secret: Made) -> None:
    old = of_rsa(authority)
    held = {
        "tls__crt": shown.certificate,
        "tls__key": shown.key,
        "rsa__crt": old["crt"],
        "rsa__key": old["key"],
    }
    mesh.apply(BY_FILES, secret("istio-ingressgateway-certs", **held))
    for ciphers, kind in ((ECDSA, "ecdsa"), (RSA, "rsa")):
        assert kind_of_key(call(mesh, authority.root, max_version="1.2", ciphers=ciphers)) == kind


def test_a_list_of_revoked_clients_may_be_a_file(
    mesh: Mesh, shown: Certificate, secret: Made, tls_secret: Made
) -> None:
    served = tls_secret("istio-ingressgateway-certs", shown)
    for gone, status in ((OTHER, 200), (KNOWN, None)):
        mesh.replace()  # the list is read when its server comes
        held = {"ca__crt": CLIENTS.root, "revoked__crl": revoking(gone)}
        mesh.replace(WITH_LIST, served, secret("istio-ingressgateway-ca-certs", **held))
        assert call(mesh, "", KNOWN).status == status


def revoking(client: Certificate) -> str:
    """The list of the clients' authority with this one on it."""
    now = dt.datetime.now(dt.UTC)
    number = x509.load_pem_x509_certificate(client.certificate.encode()).serial_number
    made = x509.CertificateRevocationListBuilder(
        issuer_name=x509.load_pem_x509_certificate(CLIENTS.root.encode()).subject,
        last_update=now - dt.timedelta(minutes=5),
        next_update=now + dt.timedelta(days=1),
    )
    entry = x509.RevokedCertificateBuilder(
        serial_number=number, revocation_date=now - dt.timedelta(minutes=1)
    )
    made = made.add_revoked_certificate(entry.build())
    return made.sign(CLIENTS._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
