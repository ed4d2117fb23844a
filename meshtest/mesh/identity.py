"""SPIFFE identities as Istio forms them: spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT."""

from __future__ import annotations

import re
from dataclasses import dataclass

from meshtest.errors import ScenarioError

SCHEME = "spiffe://"
PATTERN = re.compile(r"spiffe://([a-z0-9._-]+)/ns/([^/]+)/sa/([^/]+)\Z")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Identity:
    """Who a workload is to its peers."""

    trust_domain: str
    namespace: str
    service_account: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.trust_domain}/ns/{self.namespace}/sa/{self.service_account}"

    @property
    def principal(self) -> str:
        """As `principals` of an AuthorizationPolicy write it."""
        return str(self).removeprefix(SCHEME)


def parse_identity(text: str) -> Identity:
    """Read an identity, with `spiffe://` or as a principal without it; raises ScenarioError."""
    match = PATTERN.match(text if text.startswith(SCHEME) else SCHEME + text)
    if not match:
        expected = f"{SCHEME}TRUST-DOMAIN/ns/NAMESPACE/sa/NAME"
        raise ScenarioError(f"{text!r} is no identity of a workload", expected=expected)
    return Identity(trust_domain=match[1], namespace=match[2], service_account=match[3])
