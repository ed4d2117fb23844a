"""What the lines of Envoy's access log say about policies; the texts are Envoy 1.40's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from meshtest.traffic.accesslog import hop_of
from meshtest.traffic.refusals import asked, others, refusal

if TYPE_CHECKING:
    from meshtest.traffic.model import Hop

RULE = "/apis/networking.istio.io/v1/namespaces/ns1/destination-rule/dr"


def tls_error(words: str) -> str:
    return f"TLS_error:|268435581:SSL_routines:OPENSSL_internal:{words}:TLS_error_end"


def line(**fields: Any) -> Hop:
    return hop_of(
        {"pod": "ns1/b-0", "side": "inbound", "layer": "http", "downstream_local": "10.1.1.1:8080", **fields}
    )


def test_a_rule_that_denied() -> None:
    said = refusal(line(details="rbac_access_denied_matched_policy[ns[ns1]-policy[deny]-rule[2]]"))
    assert said is not None
    assert (said.kind, said.namespace, said.name, said.rule) == ("AuthorizationPolicy", "ns1", "deny", 2)
    assert (said.effect, said.pod, said.reason) == ("denied", "ns1/b-0", "")


def test_no_rule_that_allowed() -> None:
    said = refusal(line(layer="tcp", termination="rbac_access_denied_matched_policy[none]"))
    assert said is not None
    assert (said.kind, said.name) == ("AuthorizationPolicy", "")


def test_a_provider_that_is_not_there() -> None:
    name = "istio-ext-authz-x-ns[ns1]-policy[ask]-rule[0]-deny-due-to-bad-CUSTOM-action"
    said = refusal(line(details=f"rbac_access_denied_matched_policy[{name}]"))
    assert said is not None
    assert (said.name, said.rule) == ("ask", 0)
    assert "provider" in said.reason


@pytest.mark.parametrize(
    ("details", "why"), [("ext_authz_denied", "said no"), ("ext_authz_error", "not answer")]
)
def test_an_external_service_that_refused(details: str, why: str) -> None:
    name = "istio-ext-authz-x-ns[ns1]-policy[ask]-rule[1]"
    hop = line(details=details, rbac={"istio_ext_authz_shadow_effective_policy_id": name})
    said = refusal(hop)
    assert said is not None
    assert (said.kind, said.namespace, said.name, said.rule) == ("AuthorizationPolicy", "ns1", "ask", 1)
    assert why in said.reason
    assert asked(hop) == {"ext-authz"}


def test_a_token_that_was_refused() -> None:
    said = refusal(line(details="jwt_authn_access_denied{Jwt_is_expired}"))
    assert said is not None
    assert (said.kind, said.reason) == ("RequestAuthentication", "Jwt is expired")
    assert asked(line(details="jwt_authn_access_denied{Jwks_remote_fetch_is_failed}")) == {"jwks"}


SANS = "CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_SAN_matcher,_certificate_SANs_are_[spiffe://o/x]"
READ = "CERTIFICATE VERIFY FAILED:verify cert failed: SAN matcher, certificate SANs are [spiffe://o/x]"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"details": "filter_chain_not_found", "downstream_failure": tls_error("HTTP_REQUEST")},
            "plaintext where mTLS is required",
        ),
        (
            {"tls": "TLSv1.3", "downstream_failure": tls_error("PEER_DID_NOT_RETURN_A_CERTIFICATE")},
            "no client certificate",
        ),
        (
            {"tls": "TLSv1.3", "downstream_failure": tls_error(SANS)},
            f"the client's certificate is refused: {READ}",
        ),
    ],
    ids=["plaintext", "no-certificate", "wrong-certificate"],
)
def test_a_connection_that_was_refused(fields: dict[str, str], reason: str) -> None:
    said = refusal(line(layer="tcp", **fields))
    assert said is not None
    assert (said.kind, said.port, said.reason) == ("PeerAuthentication", 8080, reason)


@pytest.mark.parametrize(
    "fields",
    [
        {"layer": "http", "details": "via_upstream"},
        {"layer": "tcp", "details": "filter_chain_not_found"},
        {"layer": "tcp", "details": "filter_chain_not_found", "side": "gateway"},
        {"layer": "tcp", "downstream_failure": "TLS_error|error:1000009c:SSL_routines:OPENSSL_internal:HTTP_REQUEST"},
        {"side": "outbound", "upstream_failure": tls_error("X")},
        {"side": "outbound", "destination_rule": RULE, "upstream_failure": "timeout"},
    ],
    ids=["passed", "no-chain-for-tls", "gateway", "plaintext-seen-by-the-inspector", "no-rule", "no-tls"],
)  # fmt: skip
def test_what_is_no_refusal_by_a_policy(fields: dict[str, str]) -> None:
    assert refusal(line(**fields)) is None


def test_a_server_that_the_destination_rules_tls_does_not_fit() -> None:
    said = refusal(
        line(
            side="outbound",
            upstream="10.1.1.2:80",
            destination_rule=RULE,
            upstream_failure=tls_error("WRONG_VERSION_NUMBER"),
        )
    )
    assert said is not None
    assert (said.kind, said.namespace, said.name) == ("DestinationRule", "ns1", "dr")
    assert said.reason == "no TLS with 10.1.1.2:80: WRONG VERSION NUMBER"


DENY, ALLOW = "istio_dry_run_deny_shadow_", "istio_dry_run_allow_shadow_"
NAME = "ns[ns1]-policy[p]-rule[0]"


@pytest.mark.parametrize(
    ("rbac", "found"),
    [
        (None, []),
        ({"enforced_engine_result": "allowed"}, []),
        ({"enforced_engine_result": "allowed", "enforced_effective_policy_id": NAME}, [("allowed", "p")]),
        ({"enforced_engine_result": "denied", "enforced_effective_policy_id": NAME}, []),
        ({f"{DENY}engine_result": "denied", f"{DENY}effective_policy_id": NAME}, [("would be denied", "p")]),
        ({f"{DENY}engine_result": "allowed"}, []),
        ({f"{ALLOW}engine_result": "denied"}, [("would be denied", "")]),
        ({f"{ALLOW}engine_result": "allowed", f"{ALLOW}effective_policy_id": NAME}, [("would be allowed", "p")]),
    ],
    ids=["nothing", "no-policy", "allowed", "denied", "dry-denied", "dry-passed", "dry-default", "dry-allowed"],
)  # fmt: skip
def test_the_others_that_had_a_say(rbac: Any, found: list[tuple[str, str]]) -> None:
    assert [(said.effect, said.name) for said in others(line(rbac=rbac))] == found


def test_who_watched_is_known_beside_who_let_it_through_or_not() -> None:
    watched = {
        "meshtest_audit_enforced_engine_result": "allowed",
        "meshtest_audit_enforced_effective_policy_id": "ns[ns1]-policy[watch]-rule[1]",
    }
    for result, told in (("allowed", ["audited watch", "allowed p"]), ("denied", ["audited watch"])):
        last = {"enforced_engine_result": result, "enforced_effective_policy_id": "ns[ns1]-policy[p]-rule[0]"}
        found = others(line(rbac={**watched, **last}))
        assert [f"{each.effect} {each.name}" for each in found] == told
