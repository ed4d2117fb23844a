"""Faults of identity: what a workload shows as its certificate, whom it trusts, and which TLS it speaks.

- certificate: expired                     # notYetValid, unknownCA, selfSigned
- certificate: {wrongIdentity: spiffe://cluster.local/ns/default/sa/intruder}
- certificate: {wrongTrustDomain: other.example}
- rootRemoved: true
- rotation: {every: 200ms, lifetime: 1h}
- tls: {maxVersion: TLSv1_1, cipherSuites: [ECDHE-ECDSA-AES128-SHA]}
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from meshtest.scenario.fields import Shape, key, list_of, record, shown
from meshtest.scenario.scalars import duration, text, word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.scenario.fields import Spot

DAY = 86_400.0
SPIFFE_PATTERN = re.compile(r"spiffe://[a-z0-9._-]+(/[A-Za-z0-9._-]+)+")
_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]+")


class Flaw(Enum):
    """What is wrong with a certificate."""

    EXPIRED = "expired"
    NOT_YET_VALID = "notYetValid"
    UNKNOWN_CA = "unknownCA"
    SELF_SIGNED = "selfSigned"
    WRONG_IDENTITY = "wrongIdentity"
    WRONG_TRUST_DOMAIN = "wrongTrustDomain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """The workload shows a certificate with a flaw."""

    flaw: Flaw
    spiffe: str = ""
    """WRONG_IDENTITY: whose it is."""
    trust_domain: str = ""
    """WRONG_TRUST_DOMAIN: which one stands in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RootRemoved:
    """The workload no longer trusts the mesh's root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """The workload gets a new certificate again and again, in seconds."""

    every: float
    lifetime: float = DAY
    """How long each is valid; shorter than `every`, it lapses before the next one comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsLimits:
    """The workload speaks old or weak TLS only, as client and as server."""

    max_version: str = ""
    cipher_suites: tuple[str, ...] = ()


TLS_VERSIONS = ("TLSv1_0", "TLSv1_1", "TLSv1_2", "TLSv1_3")
CIPHER_SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-RSA-AES256-SHA",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-SHA",
    "AES256-SHA",
)
"""Of TLS 1.2 and older, as Envoy names them; the certificates of a mesh are ECDSA."""
_WORDS = (Flaw.EXPIRED, Flaw.NOT_YET_VALID, Flaw.UNKNOWN_CA, Flaw.SELF_SIGNED)


def _matching(pattern: re.Pattern[str], expected: str) -> Shape[str]:
    plain = text(expected)

    def read(value: Any, spot: Spot) -> str:
        found = plain.read(value, spot)
        if not pattern.fullmatch(found):
            raise spot.error(f"{found!r} is none", expected=expected)
        return found

    return Shape(expected=expected, read=read, schema={"type": "string", "pattern": f"^{pattern.pattern}$"})


SPIFFE = _matching(SPIFFE_PATTERN, "a SPIFFE identity such as spiffe://cluster.local/ns/default/sa/intruder")
TRUST_DOMAIN = _matching(_TRUST_DOMAIN, "a trust domain such as other.example")
_MAPPING = record(
    lambda **found: found,
    {"wrongIdentity": key("spiffe", SPIFFE), "wrongTrustDomain": key("trust_domain", TRUST_DOMAIN)},
)
_WORD = word([flaw.value for flaw in _WORDS], "flaw of a certificate")


def _read_certificate(value: Any, spot: Spot) -> Certificate:
    if isinstance(value, str) and value in (Flaw.WRONG_IDENTITY.value, Flaw.WRONG_TRUST_DOMAIN.value):
        expected = (SPIFFE if value == Flaw.WRONG_IDENTITY.value else TRUST_DOMAIN).expected
        raise spot.error(f"{value!r} stands without its value", expected=f"{{{value}: {expected}}}")
    if not isinstance(value, dict):
        return Certificate(flaw=Flaw(_WORD.read(value, spot)))
    found = _MAPPING.read(value, spot)
    if len(found) > 1:
        raise spot.error("wrongIdentity and wrongTrustDomain both stand here", expected="one of them")
    flaw = Flaw.WRONG_IDENTITY if "spiffe" in found else Flaw.WRONG_TRUST_DOMAIN
    return Certificate(flaw=flaw, **found)


CERTIFICATE: Shape[Certificate] = Shape(
    expected=f"{_WORD.expected}, or {_MAPPING.expected}",
    read=_read_certificate,
    schema={"anyOf": [_WORD.schema, _MAPPING.schema]},
)


def flag(made: Any) -> Shape[Any]:
    """`true`, for what has nothing more to say about itself."""

    def read(value: Any, spot: Spot) -> Any:
        if value is not True and value != {}:
            if isinstance(value, dict) and value:
                name = str(next(iter(value)))
                raise spot.key(name).error(f"unknown key {name!r}", expected="true, and nothing more")
            raise spot.error(f"{shown(value)} stands where true must", expected="true")
        return made

    return Shape(expected="true", read=read, schema={"enum": [True, {}]})


def _some_limit(limits: TlsLimits, spot: Spot) -> None:
    if limits.max_version == "TLSv1_3" and limits.cipher_suites:
        raise spot.key("cipherSuites").error(
            "the cipher suites of TLS 1.3 cannot be chosen", expected="maxVersion: TLSv1_2 or older"
        )
    if limits.max_version == "TLSv1_3":
        raise spot.key("maxVersion").error("TLSv1_3 is no limit", expected="TLSv1_2 or older")


def _whole_seconds(rotation: Rotation, spot: Spot) -> None:
    if rotation.lifetime < 1:
        raise spot.key("lifetime").error(
            "certificates tell their end in whole seconds", expected="a lifetime of 1s or more"
        )


IDENTITY_FAULTS: Mapping[str, Shape[Any]] = {
    "certificate": CERTIFICATE,
    "rootRemoved": flag(RootRemoved()),
    "rotation": record(
        Rotation,
        {"every": key("every", duration(), required=True), "lifetime": key("lifetime", duration())},
        verify=_whole_seconds,
    ),
    "tls": record(
        TlsLimits,
        {
            "maxVersion": key("max_version", word(TLS_VERSIONS, "version of TLS")),
            "cipherSuites": key("cipher_suites", list_of(word(CIPHER_SUITES, "cipher suite"))),
        },
        verify=_some_limit,
    ),
}
