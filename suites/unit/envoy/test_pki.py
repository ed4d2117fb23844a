from __future__ import annotations

import datetime as dt

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

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
