"""TLS at Istio's gateways with the Secrets that they name: who is served, and what a changed Secret changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from meshtest.envoy.pki import Authority

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh
    from meshtest.envoy.pki import Certificate

pytestmark = pytest.mark.mesh("../../fixtures/bookinfo")

Made = Callable[..., str]
AsClient = Callable[["Certificate"], dict[str, str]]
HOST = "shop.example.com"
NOT_SERVED = {"handshake-failure", "reset"}
GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop}
spec:
  selector: {istio: ingressgateway}
  servers:
    - port: {number: 443, name: https, protocol: HTTPS}
      tls: {mode: MODE, credentialName: shop}
      hosts: [shop.example.com]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop.example.com]
  gateways: [shop]
  http: [{route: [{destination: {host: reviews, port: {number: 9080}}}]}]
"""


def gateway(mode: str = "SIMPLE") -> str:
    return GATEWAY.replace("MODE", mode)


def call(mesh: Mesh, root: str = "", *, host: str = HOST, **tls: str) -> Exchange:
    """Over TLS; with a root, the server's certificate has to be of it and for the host."""
    verified = {"ca": root, "verify_name": True} if root else {}
    return mesh.request("outside", f"https://{host}/", address="gateway", tls={**verified, **tls})


def revoking(authority: Authority, client: dict[str, str]) -> str:
    """An authority's list of revoked certificates with this client's on it."""
    serial = x509.load_pem_x509_certificate(client["certificate"].encode()).serial_number
    root = x509.load_pem_x509_certificate(authority.root.encode())
    now = root.not_valid_before_utc
    entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
    listed = x509.CertificateRevocationListBuilder().issuer_name(root.subject).add_revoked_certificate(entry)
    listed = listed.last_update(now).next_update(root.not_valid_after_utc)
    key = authority._key
    return listed.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


@pytest.mark.parametrize("kind", ["kubernetes.io/tls", "Opaque"])
def test_a_gateway_shows_the_certificate_of_its_secret(
    mesh: Mesh, authority: Authority, shown: Certificate, secret: Made, tls_secret: Made, kind: str
) -> None:
    generic = secret("shop", cert=shown.certificate, key=shown.key)
    mesh.apply(gateway(), generic if kind == "Opaque" else tls_secret("shop", shown))
    one = call(mesh, authority.root)
    assert one.status == 200
    assert one.peer_identity.endswith("/sa/istio-ingressgateway-service-account")
    assert call(mesh, Authority("else").root).outcome == "handshake-failure"
    assert call(mesh, host="else.example.com").outcome in NOT_SERVED
    assert mesh.request("outside", f"http://{HOST}:443/", address="gateway").outcome == "reset"


@pytest.mark.parametrize(
    ("namespace", "name"), [("istio-system", "else"), ("default", "shop")], ids=["no secret", "elsewhere"]
)
def test_without_its_secret_a_gateway_serves_nobody_until_it_comes(
    mesh: Mesh, authority: Authority, shown: Certificate, tls_secret: Made, namespace: str, name: str
) -> None:
    pushed = mesh.apply(gateway(), tls_secret(name, shown, namespace=namespace))
    assert [one.object for one in pushed.notices if one.code == "credential"] == ["Secret istio-system/shop"]
    assert call(mesh).outcome in NOT_SERVED
    mesh.apply(tls_secret("shop", shown))
    assert call(mesh, authority.root).status == 200


@pytest.mark.parametrize("broken", ["certificate", "key", "both", "the key of another"])
def test_a_secret_that_envoy_cannot_use_harms_nobody_else(
    mesh: Mesh, authority: Authority, shown: Certificate, secret: Made, tls_secret: Made, broken: str
) -> None:
    second = gateway().replace("shop.example.com", "other.example.com").replace("name: shop}", "name: other}")
    second = second.replace("gateways: [shop]", "gateways: [other]").replace("Name: shop}", "Name: other}")
    certificate = "not PEM" if broken in ("certificate", "both") else shown.certificate
    key = {"key": "not PEM", "both": "not PEM", "certificate": shown.key}.get(broken, authority.issue("").key)
    other = tls_secret("other", authority.issue("", dns=("other.example.com",)))
    pushed = mesh.apply(gateway(), second, secret("shop", tls__crt=certificate, tls__key=key), other)
    (notice,) = [one for one in pushed.notices if one.code == "credential"]
    assert notice.object == "Secret istio-system/shop"
    assert "refused it" in notice.message
    assert call(mesh).outcome in NOT_SERVED
    assert call(mesh, authority.root, host="other.example.com").status == 200
    assert not [one for one in mesh.apply(tls_secret("shop", shown)).notices if one.code == "credential"]
    assert call(mesh, authority.root).status == 200


def test_a_changed_secret_is_shown_at_once(
    mesh: Mesh, authority: Authority, shown: Certificate, tls_secret: Made
) -> None:
    mesh.apply(gateway(), tls_secret("shop", shown))
    assert call(mesh, authority.root).status == 200
    for number in range(5):
        other = Authority(f"other {number}")
        mesh.apply(tls_secret("shop", other.issue("", dns=(HOST,))))
        assert call(mesh, other.root).status == 200
        assert call(mesh, authority.root).outcome == "handshake-failure"


@pytest.mark.parametrize("where", ["in the secret itself", "in a secret of its own"])
@pytest.mark.parametrize("mode", ["MUTUAL", "OPTIONAL_MUTUAL"])
def test_clients_are_verified(
    mesh: Mesh,
    authority: Authority,
    shown: Certificate,
    secret: Made,
    tls_secret: Made,
    as_client: AsClient,
    mode: str,
    where: str,
) -> None:
    clients = Authority("clients")
    if where == "in the secret itself":
        mesh.apply(gateway(mode), tls_secret("shop", shown, ca__crt=clients.root))
    else:
        mesh.apply(gateway(mode), tls_secret("shop", shown), secret("shop-cacert", cacert=clients.root))
    known, unknown = (one.issue("", dns=("client",)) for one in (clients, Authority("else")))
    assert call(mesh, authority.root, **as_client(known)).status == 200
    assert call(mesh, authority.root, **as_client(unknown)).outcome == "handshake-failure"
    without = call(mesh, authority.root)
    served = (200, "response") if mode == "OPTIONAL_MUTUAL" else (None, "handshake-failure")
    assert (without.status, without.outcome) == served


FILES = """
        mode: MUTUAL
        serverCertificate: /etc/istio/ingressgateway-certs/tls.crt
        privateKey: /etc/istio/ingressgateway-certs/tls.key
        caCertificates: /etc/istio/ingressgateway-ca-certs/ca.crt"""


def test_certificates_may_be_files_that_the_usual_gateway_mounts(
    mesh: Mesh, authority: Authority, shown: Certificate, secret: Made, tls_secret: Made, as_client: AsClient
) -> None:
    by_files = gateway().replace("{mode: SIMPLE, credentialName: shop}", FILES)
    mesh.apply(by_files)
    assert call(mesh).outcome in {*NOT_SERVED, "refused"}
    roots = secret("istio-ingressgateway-ca-certs", ca__crt=authority.root)
    mesh.apply(tls_secret("istio-ingressgateway-certs", shown), roots)
    assert call(mesh, authority.root, **as_client(authority.issue("", dns=("client",)))).status == 200
    assert call(mesh, authority.root).outcome == "handshake-failure"


def test_a_revoked_client_is_not_served(
    mesh: Mesh, authority: Authority, shown: Certificate, tls_secret: Made, as_client: AsClient
) -> None:
    good, bad = (as_client(authority.issue("", dns=(name,))) for name in ("good", "bad"))
    mesh.apply(gateway("MUTUAL"), tls_secret("shop", shown, ca__crt=authority.root))
    assert call(mesh, authority.root, **bad).status == 200
    mesh.apply(tls_secret("shop", shown, ca__crt=authority.root, ca__crl=revoking(authority, bad)))
    assert call(mesh, authority.root, **bad).outcome == "handshake-failure"
    assert call(mesh, authority.root, **good).status == 200


def test_the_application_learns_who_the_verified_client_is(
    mesh: Mesh, authority: Authority, shown: Certificate, tls_secret: Made, as_client: AsClient
) -> None:
    mesh.apply(gateway("MUTUAL"), tls_secret("shop", shown, ca__crt=authority.root))
    client = as_client(authority.issue("", dns=("client.example.com",)))
    one = call(mesh, authority.root, **client)
    assert one.backend is not None
    (forwarded,) = one.backend.request.headers["x-forwarded-client-cert"]
    assert "DNS=client.example.com" in forwarded
