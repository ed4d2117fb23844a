"""The key set (JWKS) of a mesh, and tokens signed with its key.

The key is made when it is first used and never written anywhere. ES256 (RFC 7518), since it takes no time to make.
"""

from __future__ import annotations

import base64
import json
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from meshtest.traffic.tokens import SignedBy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.traffic.tokens import Token

_BYTES = 32
"""Of a coordinate of the curve P-256."""


class KeySet:
    """The keys of one mesh."""

    @property
    def jwks(self) -> str:
        """The public key as a JSON Web Key Set, as RequestAuthentication's `jwks` takes it."""
        numbers = self._known.public_key().public_numbers()
        x, y = (_base64(number.to_bytes(_BYTES, "big")) for number in (numbers.x, numbers.y))
        key = {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self._id, "x": x, "y": y}
        return json.dumps({"keys": [key]}, separators=(",", ":"))

    def sign(self, token: Token) -> str:
        """The token in its compact form."""
        algorithm = "none" if token.key is SignedBy.NOBODY else "ES256"
        name = "unknown" if token.key is SignedBy.UNKNOWN else self._id
        head = {"alg": algorithm, "typ": "JWT", "kid": name}
        text = f"{_part(head)}.{_part(token.payload(time.time()))}"
        if token.key is SignedBy.NOBODY:
            return f"{text}."
        key = self._known if token.key is SignedBy.KNOWN else self._other
        r, s = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{_base64(r.to_bytes(_BYTES, 'big') + s.to_bytes(_BYTES, 'big'))}"

    @cached_property
    def _known(self) -> ec.EllipticCurvePrivateKey:
        return ec.generate_private_key(ec.SECP256R1())

    @cached_property
    def _other(self) -> ec.EllipticCurvePrivateKey:
        return ec.generate_private_key(ec.SECP256R1())

    @cached_property
    def _id(self) -> str:
        return f"{self._known.public_key().public_numbers().x:064x}"[:16]


def _part(value: Mapping[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
