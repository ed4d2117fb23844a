"""What a log line of a sidecar says about policies: who refused and why, who let through, who would have refused. Pure.

Names are istiod's: `ns[NS]-policy[NAME]-rule[N]` in the details of a response and in the metadata of Envoy's RBAC
filters. Envoy's other filters say that they refused and why, and not by which policy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshtest.mesh.names import AUDITED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshtest.traffic.model import Hop

AUTHORIZATION, REQUEST, PEER = "AuthorizationPolicy", "RequestAuthentication", "PeerAuthentication"
DESTINATION_RULE = "DestinationRule"
_DENIED = "rbac_access_denied_matched_policy["
_RULE = re.compile(r"ns\[(?P<namespace>[^\]]*)\]-policy\[(?P<name>[^\]]*)\]-rule\[(?P<rule>\d+)\]")
_BAD_PROVIDER = "-deny-due-to-bad-CUSTOM-action"
_JWT = re.compile(r"jwt_authn_access_denied\{(.*)\}")
_CONFIG = re.compile(r"/namespaces/(?P<namespace>[^/]+)/destination-rule/(?P<name>[^/]+)$")
_TLS_ERROR = re.compile(r"OPENSSL_internal:(.*?)(?::TLS_error_end|$)")
_NO_TLS = "TLS_error"
"""What Envoy says of plaintext that it has looked into for TLS."""
_CUSTOM = "istio_ext_authz_shadow_effective_policy_id"
_NO_KEYS = "Jwks_remote_fetch_is_failed"
_EXT_AUTHZ = {
    "ext_authz_denied": "its external authorization service said no",
    "ext_authz_error": "its external authorization service did not answer",
}
_DRY_RUN = ("istio_dry_run_deny_", "istio_dry_run_allow_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What one policy did to a request; without a name: the log does not tell which one of its kind."""

    pod: str
    kind: str
    effect: str = "denied"
    """`denied`, `allowed`, `audited`; of a dry run `would be denied`, `would be allowed`."""
    namespace: str = ""
    name: str = ""
    rule: int | None = None
    reason: str = ""
    """In Envoy's words, where there is one."""
    port: int = 0
    """The callee's port, where a connection was refused."""


def refusal(hop: Hop) -> Said | None:
    """The refusal that a line tells of, if it does."""
    for found in (_rbac(hop), _ext_authz(hop), _token(hop), _connection(hop), _server(hop)):
        if found is not None:
            return found
    return None


def others(hop: Hop) -> Iterator[Said]:
    """Which AuthorizationPolicies watched a request or let it through, and what those in a dry run would have done."""
    metadata = _metadata(hop)
    for prefix, effect in ((AUDITED, "audited"), ("", "allowed")):
        if metadata.get(f"{prefix}enforced_engine_result") == "allowed":
            name = str(metadata.get(f"{prefix}enforced_effective_policy_id", ""))
            found = _named(hop, name, effect=effect)
            if found is not None:
                yield found
    for prefix in _DRY_RUN:
        result = metadata.get(f"{prefix}shadow_engine_result")
        name = str(metadata.get(f"{prefix}shadow_effective_policy_id", ""))
        if result == "denied":
            effect = "would be denied"
            yield _named(hop, name, effect=effect) or Said(pod=hop.pod, kind=AUTHORIZATION, effect=effect)
        elif name and (found := _named(hop, name, effect="would be allowed")) is not None:
            yield found


def asked(hop: Hop) -> frozenset[str]:
    """Whom Envoy itself asked about a request, as far as the line shows it: `ext-authz`, `jwks`."""
    whom = {"ext-authz"} if _CUSTOM in _metadata(hop) else set()
    return frozenset(whom | {"jwks"} if _NO_KEYS in hop.details else whom)


def _metadata(hop: Hop) -> Mapping[str, Any]:
    found = hop.raw.get("rbac")
    return found if isinstance(found, dict) else {}


def _named(hop: Hop, text: str, effect: str = "denied", reason: str = "") -> Said | None:
    found = _RULE.search(text)
    if found is None:
        return None
    return Said(
        pod=hop.pod,
        kind=AUTHORIZATION,
        effect=effect,
        namespace=found["namespace"],
        name=found["name"],
        rule=int(found["rule"]),
        reason=reason,
    )


def _rbac(hop: Hop) -> Said | None:
    said = f"{hop.details} {hop.raw.get('termination') or ''}"
    if _DENIED not in said:
        return None
    reason = "its extension provider is not there or not valid" if _BAD_PROVIDER in said else ""
    return _named(hop, said, reason=reason) or Said(pod=hop.pod, kind=AUTHORIZATION)


def _ext_authz(hop: Hop) -> Said | None:
    reason = next((text for word, text in _EXT_AUTHZ.items() if word in hop.details), "")
    if not reason:
        return None
    name = str(_metadata(hop).get(_CUSTOM, ""))
    return _named(hop, name, reason=reason) or Said(pod=hop.pod, kind=AUTHORIZATION, reason=reason)


def _token(hop: Hop) -> Said | None:
    found = _JWT.search(hop.details)
    return Said(pod=hop.pod, kind=REQUEST, reason=found[1].replace("_", " ")) if found else None


def _connection(hop: Hop) -> Said | None:
    """A connection that the callee's sidecar did not take because of its mode of mTLS."""
    if hop.side != "inbound" or hop.layer != "tcp":
        return None
    failure = str(hop.raw.get("downstream_failure") or "")
    port = str(hop.raw.get("downstream_local") or "").rpartition(":")[2]
    number = int(port) if port.isdecimal() else 0
    if hop.details == "filter_chain_not_found" and _NO_TLS in failure:
        return Said(pod=hop.pod, kind=PEER, reason="plaintext where mTLS is required", port=number)
    if "PEER_DID_NOT_RETURN_A_CERTIFICATE" in failure:
        return Said(pod=hop.pod, kind=PEER, reason="no client certificate", port=number)
    if "CERTIFICATE_VERIFY_FAILED" in failure:
        reason = f"the client's certificate is refused: {_tls_error(failure)}"
        return Said(pod=hop.pod, kind=PEER, reason=reason, port=number)
    return None


def _server(hop: Hop) -> Said | None:
    """A server whose TLS the caller's sidecar did not take, where a DestinationRule says what TLS it shall speak."""
    failure = str(hop.raw.get("upstream_failure") or "")
    config = _CONFIG.search(str(hop.raw.get("destination_rule") or ""))
    if hop.side == "inbound" or config is None or "TLS_error" not in failure:
        return None
    return Said(
        pod=hop.pod,
        kind=DESTINATION_RULE,
        namespace=config["namespace"],
        name=config["name"],
        reason=f"no TLS with {hop.upstream}: {_tls_error(failure)}",
    )


def _tls_error(text: str) -> str:
    """What BoringSSL says, without its numbers and names of libraries."""
    found = _TLS_ERROR.search(text)
    return " ".join((found[1] if found else text).replace("_", " ").split())
