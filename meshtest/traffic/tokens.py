"""What a JSON web token says; `keys` signs it. Pure."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ISSUER = "https://issuer.meshtest.dev"
_LONG_AGO = 3600.0


class SignedBy(StrEnum):
    """Whose signature a token bears."""

    KNOWN = "known"
    """The key of the key set."""
    UNKNOWN = "unknown"
    """A key that the key set does not have, and whose id says so."""
    FORGED = "forged"
    """Another key, under the id of the one in the key set."""
    NOBODY = "none"
    """Nobody: the algorithm is `none`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What a token says."""

    issuer: str = ISSUER
    subject: str = "meshtest"
    audience: str | tuple[str, ...] = ()
    claims: Mapping[str, Any] = field(default_factory=dict)
    """Further claims; they win over the others."""
    lifetime: float = _LONG_AGO
    """Seconds from now to its expiry."""
    expired: bool = False
    not_yet_valid: bool = False
    key: SignedBy = SignedBy.KNOWN

    def payload(self, now: float) -> dict[str, Any]:
        """Its claims."""
        issued = int(now) + int(_LONG_AGO) * (self.not_yet_valid - 2 * self.expired)
        payload: dict[str, Any] = {
            "iss": self.issuer,
            "sub": self.subject,
            "iat": issued,
            "nbf": issued,
            "exp": int(now - _LONG_AGO) if self.expired else issued + int(self.lifetime),
        }
        if self.audience:
            payload["aud"] = self.audience if isinstance(self.audience, str) else list(self.audience)
        return {**payload, **self.claims}


def claims_of(token: str) -> dict[str, Any]:
    """What a token says, unverified; empty for what is no token."""
    parts = token.split(".")
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (IndexError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
