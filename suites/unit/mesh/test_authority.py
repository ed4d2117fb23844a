"""Which authority a mesh is given, in the forms that istiod takes."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from meshtest.errors import ManifestError, ScenarioError
from meshtest.mesh.authority import HANDS_OUT, further_roots

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.mesh.model import MeshModel

    Build = Callable[..., MeshModel]

SECRET = """
apiVersion: v1
kind: Secret
metadata: {name: cacerts, namespace: NAMESPACE}
stringData: DATA
"""
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "somebody")])


def pair(key: Any = None, *, ca: bool | None = True) -> tuple[str, str]:
    """A certificate that signs itself, with its key."""
    key, now = key or ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(NAME).issuer_name(NAME).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    made = builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    text = key.private_bytes(serialization.Encoding.PEM, form, plain).decode()
    return made.public_bytes(serialization.Encoding.PEM).decode(), text


def secret(namespace: str = "istio-system", **data: str) -> str:
    named = {name.replace("__", "-").replace("_", "."): text for name, text in data.items()}
    return SECRET.replace("NAMESPACE", namespace).replace("DATA", json.dumps(named))


def own(certificate: str, key: str) -> dict[str, str]:
    parts = ("ca__cert_pem", certificate), ("ca__key_pem", key)
    return {**dict(parts), "cert__chain_pem": certificate, "root__cert_pem": certificate}


def test_the_secret_of_istiods_own_form(build: Build) -> None:
    certificate, key = pair()
    found = build(secret(**own(certificate, key))).authority
    assert found is not None
    assert (found.certificate, found.key, found.chain, found.root) == (
        certificate,
        key,
        certificate,
        certificate,
    )
    assert "PRIVATE" not in repr(found)


def test_the_secret_of_cert_managers_form(build: Build) -> None:
    certificate, key = pair()
    found = build(secret(tls_crt=certificate, tls_key=key, ca_crt=certificate)).authority
    assert found is not None
    assert (found.key, found.chain, found.root) == (key, certificate * 2, certificate)


def test_a_secret_elsewhere_is_none(build: Build) -> None:
    assert build(secret("default", **own(*pair()))).authority is None


@pytest.mark.parametrize(
    ("data", "key", "problem"),
    [
        ({**own(*pair()), "ca__key_pem": ""}, "ca-key.pem", "missing or empty"),
        ({**own(*pair()), "ca__key_pem": "x"}, "ca-key.pem", "no private key in PEM"),
        ({**own(*pair()), "cert__chain_pem": "x"}, "root-cert.pem", "no certificates in PEM"),
        (own(*pair(ca=False)), "ca-cert.pem", "none of an authority"),
        (own(*pair(ca=None)), "ca-cert.pem", "none of an authority"),
        (own(*pair(ed25519.Ed25519PrivateKey.generate())), "ca-key.pem", "neither RSA nor ECDSA"),
        ({**own(*pair()), "root__cert_pem": pair()[0]}, "root-cert.pem", "does not lead to it"),
        ({**own(*pair()), "ca__crl_pem": "x"}, "ca-crl.pem", "no revocation lists in PEM"),
        ({"tls_crt": pair()[0], "tls_key": pair()[1], "ca_crt": pair()[0]}, "tls.key", "it is not the key"),
    ],
)
def test_what_istiod_would_not_start_with_is_an_error_at_its_line(
    build: Build, data: dict[str, str], key: str, problem: str
) -> None:
    with pytest.raises(ManifestError, match=problem) as caught:
        build(secret(**data))
    assert caught.value.key == f"stringData[{key}]"
    assert caught.value.location is not None
    assert (caught.value.location.file, caught.value.location.line) == ("mesh.yaml", 5)


def test_further_roots_are_handed_out_by_a_switch(build: Build) -> None:
    first, second = pair()[0], pair()[0]
    on = {HANDS_OUT: "true"}
    assert further_roots([first, second, first], on) == first + second
    assert further_roots(["nothing"], {}) == ""
    with pytest.raises(ScenarioError, match="none of an authority") as caught:
        further_roots([first, pair(ca=False)[0]], on)
    assert caught.value.key == "meshConfig.caCertificates[1].pem"
    assert build("", switches=on).further_roots == ""


def test_revocations_are_heeded_unless_a_switch_says_no(build: Build) -> None:
    text = secret(**own(*pair()), ca__crl_pem="x")
    found = build(text, switches={"PILOT_ENABLE_CA_CRL": "false"}).authority
    assert found is not None
    assert found.revoked == ""
