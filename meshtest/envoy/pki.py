"""A throwaway certificate authority for one mesh, and the certificates that its workloads show.

Nothing is written to disk. Besides the mesh's own authority there are two wrong ones for identity faults: an
authority nobody trusts, and certificates that sign themselves.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Mapping

_SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_DAY = 86_400
_YEAR = 365 * _DAY
_SLACK = 300
"""Seconds before now at which certificates become valid, against clocks that differ between containers."""


class Signer(Enum):
    """Who signs a certificate."""

    MESH = "mesh"
    UNKNOWN = "unknown"
    """An authority that the mesh does not trust."""
    SELF = "self-signed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate with its key and the root it is verified by, all PEM."""

    certificate: str
    key: str = field(repr=False)
    root: str


class Authority:
    """A certificate authority that lives in memory."""

    def __init__(
        self, organization: str = "meshtest", seed: str = "", plugged: Mapping[str, str] | None = None
    ) -> None:
        """Make one, or take the one that is given.

        Args:
            organization: what it is called.
            seed: what its key depends on; empty: on nothing.
            plugged: `certificate`, `key`, `chain` and `root` of one that is there, known to be in order, as PEM; what
                it issues is shown with the chain and the root, as Istio's agent shows it.
        """
        self._key: _SigningKey
        if plugged is None:
            self._key = (
                _derived(f"{organization} {seed}") if seed else ec.generate_private_key(ec.SECP256R1())
            )
            self._certificate = _root(organization, self._key)
            self.root, self._below = _pem(self._certificate), ""
        else:
            self._key = _read_key(plugged["key"])
            self._certificate = x509.load_pem_x509_certificate(plugged["certificate"].encode())
            self.root = plugged["root"]
            self._below = "".join(f"{plugged[part].strip()}\n" for part in ("chain", "root"))

    def issue(
        self,
        spiffe: str,
        *,
        not_before: float = -_SLACK,
        not_after: float = _DAY,
        dns: tuple[str, ...] = (),
        self_signed: bool = False,
    ) -> Certificate:
        """A certificate for `spiffe` (empty: none), valid between two offsets from now in seconds."""
        key = ec.generate_private_key(ec.SECP256R1())
        # Istio leaves the subject empty and marks the SAN critical; RFC 5280 4.2.1.6 asks for that together.
        subject = x509.Name([])
        window = _window(not_before, not_after)
        issuer, signer = (subject, key) if self_signed else (self._certificate.subject, self._key)
        builder = _builder(subject, issuer, key.public_key(), window)
        by = None if self_signed else _identifier(self._certificate)
        if by is not None:  # or one of two authorities of the same name is taken for the other
            builder = builder.add_extension(by, critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        names = [x509.UniformResourceIdentifier(spiffe)] if spiffe else []
        names_all: list[x509.GeneralName] = [*names, *(x509.DNSName(name) for name in dns)]
        if names_all:
            builder = builder.add_extension(x509.SubjectAlternativeName(names_all), critical=True)
        shown = _pem(builder.sign(signer, hashes.SHA256())) + ("" if self_signed else self._below)
        return Certificate(certificate=shown, key=_key_pem(key), root=self.root)


class Authorities:
    """The authority of a mesh and one that it does not trust.

    The same seed gives the same keys, so that a control plane that is started anew goes on with the old root.
    """

    def __init__(self, seed: str = "") -> None:
        self._own = self.mesh = Authority(seed=seed)
        self.unknown = Authority("somebody else", seed=seed)

    def plug_in(self, told: Mapping[str, str] | None) -> None:
        """Have this authority sign for the mesh from now on; None: its own."""
        self.mesh = Authority(plugged=told) if told else self._own

    def issue(
        self,
        spiffe: str,
        *,
        signer: Signer = Signer.MESH,
        not_before: float = -_SLACK,
        not_after: float = _DAY,
        dns: tuple[str, ...] = (),
    ) -> Certificate:
        """A certificate by one of the signers; its `root` is the mesh's, which its holder still trusts."""
        authority = self.unknown if signer is Signer.UNKNOWN else self.mesh
        issued = authority.issue(
            spiffe, not_before=not_before, not_after=not_after, dns=dns, self_signed=signer is Signer.SELF
        )
        return Certificate(certificate=issued.certificate, key=issued.key, root=self.mesh.root)


def _root(organization: str, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)])
    public = key.public_key()
    builder = _builder(name, name, public, _window(-_SLACK, _YEAR))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    return builder.sign(key, hashes.SHA256())


def _read_key(pem: str) -> _SigningKey:
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
        raise TypeError(f"no certificates are signed with {type(key).__name__}")
    return key


def _derived(seed: str) -> ec.EllipticCurvePrivateKey:
    """A key that depends on nothing but the seed; 248 bits always lie below the order of the curve."""
    number = int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=31).digest(), "big")
    return ec.derive_private_key(number + 1, ec.SECP256R1())


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    window: tuple[dt.datetime, dt.datetime],
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(window[0])
        .not_valid_after(window[1])
    )


def _identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier | None:
    """How a certificate says which key signed it; None where the issuer's has no name."""
    try:
        named = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        return None
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(named.value)


def _window(not_before: float, not_after: float) -> tuple[dt.datetime, dt.datetime]:
    now = dt.datetime.now(dt.UTC)
    return now + dt.timedelta(seconds=not_before), now + dt.timedelta(seconds=not_after)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not signs_certificates,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
