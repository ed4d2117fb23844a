from __future__ import annotations

import base64
import ssl
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from meshtest.live.external import Externals
from meshtest.scenario.external import external_hosts

HOST = "api.example.com"


def externals(**host: Any) -> Externals:
    return Externals(external_hosts({HOST: {"ports": ["80/HTTP", "443/HTTPS"], **host}}))


def verify(certificate: str, root: str) -> x509.Certificate:
    """The certificate, if the authority signed it."""
    shown, ca = (x509.load_pem_x509_certificate(text.encode()) for text in (certificate, root))
    algorithm = shown.signature_hash_algorithm
    key = ca.public_key()
    assert algorithm is not None
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(shown.signature, shown.tbs_certificate_bytes, ec.ECDSA(algorithm))
    return shown


def names(certificate: x509.Certificate) -> list[str]:
    return certificate.extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    ).value.get_values_for_type(x509.DNSName)


def test_plaintext_ports_need_no_certificate() -> None:
    found = Externals(external_hosts({HOST: ["80/HTTP", "9000/TCP"]}))
    assert found.ports(HOST) == [
        {"port": 80, "protocol": "http", "proxyProtocol": False},
        {"port": 9000, "protocol": "tcp", "proxyProtocol": False},
    ]
    assert (found.public_root, found.files(), found.secrets()) == ("", {}, [])


def test_a_public_certificate_is_signed_by_whom_the_system_trusts() -> None:
    found = externals(names=["www.example.com"])
    _, port = found.ports(HOST)
    shown = verify(port["certificate"], found.public_root)
    assert names(shown) == [HOST, "www.example.com"]
    assert shown.not_valid_after_utc > shown.not_valid_before_utc
    assert found.credentials(HOST).ca == found.public_root
    assert "requireClientCertificate" not in port


def test_a_private_one_by_the_hosts_own_authority() -> None:
    found = externals(tls={"certificate": "private"}, files={"/ca.pem": "ca"})
    _, port = found.ports(HOST)
    ca = found.files()["/ca.pem"]
    assert ca != found.public_root
    verify(port["certificate"], ca)


def test_a_self_signed_one_is_its_own_authority() -> None:
    found = externals(tls={"certificate": "selfSigned"})
    certificate = found.ports(HOST)[1]["certificate"]
    assert found.credentials(HOST).ca == certificate
    verify(certificate, certificate)


def test_wrong_ones_are_wrong_in_one_thing_only() -> None:
    for kind in ("expired", "wrongName"):
        found = externals(tls={"certificate": kind})
        shown = verify(found.ports(HOST)[1]["certificate"], found.public_root)
        assert (HOST in names(shown)) is (kind == "expired")
        assert (shown.not_valid_after_utc < x509_now()) is (kind == "expired")


def x509_now() -> Any:
    import datetime as dt  # noqa: PLC0415 - here alone

    return dt.datetime.now(dt.UTC)


def test_under_mutual_it_accepts_the_client_that_it_certified() -> None:
    found = externals(tls={"mode": "MUTUAL"}, secrets=["shop/api-client"])
    port = found.ports(HOST)[1]
    assert port["requireClientCertificate"]
    given = found.credentials(HOST)
    verify(given.client_certificate, port["ca"])
    (secret,) = found.secrets()
    assert (secret.ref.namespace, secret.ref.name) == ("shop", "api-client")
    data = {key: base64.b64decode(value).decode() for key, value in secret.body["data"].items()}
    assert data == {"ca.crt": given.ca, "tls.crt": given.client_certificate, "tls.key": given.client_key}


def test_what_the_user_brings_is_shown() -> None:
    own = externals().ports(HOST)[1]
    tls = {
        "mode": "MUTUAL",
        "serverCertificate": own["certificate"],
        "privateKey": own["key"],
        "caCertificates": own["certificate"],
    }
    found = externals(tls=tls)
    port = found.ports(HOST)[1]
    assert (port["certificate"], port["key"], port["ca"]) == (
        own["certificate"],
        own["key"],
        own["certificate"],
    )
    assert found.credentials(HOST).ca == own["certificate"]


def test_openssl_takes_what_is_issued() -> None:
    context = ssl.create_default_context(cadata=externals().public_root)
    assert context.cert_store_stats()["x509_ca"] == 1


def test_nothing_else_can_be_asked_for() -> None:
    with pytest.raises(KeyError):
        externals().credentials(HOST).of("root")
