"""What is wrong with certificates that a mesh is given to sign or to verify by; dear to import."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

if TYPE_CHECKING:
    from collections.abc import Sequence

_LIST = re.compile(r"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)


def problem_of_root(pem: str) -> str:
    """Why nobody can be verified by it; empty if somebody can."""
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        return "no certificate in PEM"
    return "" if _may_sign(certificate) else "the certificate is none of an authority"


def problem_of_key(certificate: str, key: str) -> str:
    """Why it does not sign for the certificate, which is one; empty if it does."""
    try:
        private = load_pem_private_key(key.encode(), password=None)
    except (ValueError, TypeError):
        return "no private key in PEM"
    if not isinstance(private, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
        return "the key is neither RSA nor ECDSA"
    own = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    return "" if private.public_key() == own else "it is not the key of the certificate"


def problem_of_path(certificate: str, chain: str, root: str) -> str:
    """Why no path of valid certificates leads from the first one, which is one, to a root; empty if one does."""
    try:
        roots = x509.load_pem_x509_certificates(root.encode())
        between = x509.load_pem_x509_certificates(chain.encode())
    except ValueError:
        return "no certificates in PEM, here or in the chain"
    first = x509.load_pem_x509_certificate(certificate.encode())
    return "" if _leads(first, between, roots) else "the certificate does not lead to it"


def problem_of_revocations(lists: str, chain: str) -> str:
    """Why no certificate is verified with these: each authority of the chain needs a list that it has signed."""
    found = []
    for block in _LIST.findall(lists):
        try:
            found.append(x509.load_pem_x509_crl(block.encode()))
        except ValueError:
            return "no revocation lists in PEM"
    if not found:
        return "no revocation lists in PEM"
    for one in x509.load_pem_x509_certificates(chain.encode()):
        if not any(_listed(each, one) for each in found):
            return f"no list is signed by {one.subject.rfc4514_string()} of the chain"
    return ""


def _listed(revocations: x509.CertificateRevocationList, by: x509.Certificate) -> bool:
    key = by.public_key()
    return isinstance(key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey)) and revocations.is_signature_valid(
        key
    )


def _leads(
    certificate: x509.Certificate, between: Sequence[x509.Certificate], roots: Sequence[x509.Certificate]
) -> bool:
    if not _valid(certificate):
        return False
    if certificate in roots or any(_signed(certificate, root) for root in roots):
        return True
    left = [one for one in between if one != certificate]
    return any(_signed(certificate, one) and _leads(one, left, roots) for one in left)


def _signed(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return _valid(by) and _may_sign(by)


def _valid(certificate: x509.Certificate) -> bool:
    return certificate.not_valid_before_utc <= dt.datetime.now(dt.UTC) <= certificate.not_valid_after_utc


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
