from __future__ import annotations

import datetime as dt

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from meshtest.envoy.pki import Authorities, Signer

SPIFFE = "spiffe://cluster.local/ns/default/sa/bob"


def loaded(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


def test_leaf_carries_the_identity_and_is_signed_by_the_root() -> None:
    issued = Authorities().issue(SPIFFE)
    leaf, root = loaded(issued.certificate), loaded(issued.root)
    leaf.verify_directly_issued_by(root)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [SPIFFE]
    assert leaf.not_valid_after_utc - dt.datetime.now(dt.UTC) > dt.timedelta(hours=23)


@pytest.mark.parametrize("signer", [Signer.UNKNOWN, Signer.SELF])
def test_wrong_signers_do_not_verify_but_trust_the_mesh(signer: Signer) -> None:
    authorities = Authorities()
    issued = authorities.issue(SPIFFE, signer=signer)
    assert issued.root == authorities.mesh.root
    with pytest.raises((InvalidSignature, ValueError)):
        loaded(issued.certificate).verify_directly_issued_by(loaded(issued.root))


def test_validity_is_given_as_offsets() -> None:
    leaf = loaded(Authorities().issue(SPIFFE, not_before=-7200, not_after=-3600).certificate)
    assert leaf.not_valid_after_utc < dt.datetime.now(dt.UTC)


def test_keys_do_not_show_in_representations() -> None:
    assert "PRIVATE" not in repr(Authorities().issue(SPIFFE))


def test_two_meshes_do_not_trust_each_other() -> None:
    with pytest.raises(InvalidSignature):
        loaded(Authorities().issue(SPIFFE).certificate).verify_directly_issued_by(
            loaded(Authorities().mesh.root)
        )


def test_a_plugged_authority_signs_and_shows_the_way_to_its_root() -> None:
    authorities = Authorities()
    own = authorities.mesh.root
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    root = self_signed(key)
    authorities.plug_in({"certificate": root, "key": private.decode(), "chain": root, "root": root})
    issued = authorities.issue(SPIFFE)
    leaf, *below = x509.load_pem_x509_certificates(issued.certificate.encode())
    leaf.verify_directly_issued_by(loaded(root))
    assert (below, issued.root) == ([loaded(root)] * 2, root)
    assert loaded(authorities.issue(SPIFFE, signer=Signer.SELF).certificate).issuer == x509.Name([])
    authorities.plug_in(None)
    assert authorities.issue(SPIFFE).root == own


def self_signed(key: ec.EllipticCurvePrivateKey) -> str:
    """A root without an identifier of its key, as some are."""
    name, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "root")]), dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
