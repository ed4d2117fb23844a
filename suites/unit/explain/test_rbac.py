from __future__ import annotations

from typing import Any

import pytest
from envoy.config.rbac.v3 import rbac_pb2

from meshtest.explain.rbac import Match, Subject, matches
from meshtest.explain.truth import Unknown
from suites.unit.explain.conftest import http, message, wire

ANY = [{"any": True}]
PEER = "spiffe://cluster.local/ns/one/sa/a"


def found(subject: Subject, **policies: dict[str, Any]) -> list[Match]:
    full = {name: {"permissions": ANY, "principals": ANY, **one} for name, one in policies.items()}
    return matches(message(rbac_pb2.RBAC, policies=full), subject)


def holds(kind: str, rule: dict[str, Any], **fields: Any) -> bool:
    subject = Subject(**{"wire": wire(), "peer": PEER, "tls": True, "request": http("/a?q"), **fields})
    return bool(found(subject, p={kind: [rule]}))


@pytest.mark.parametrize(
    "rule",
    [
        {"destination_port": 8080},
        {"destination_port_range": {"start": 8080, "end": 8081}},
        {"destination_ip": {"address_prefix": "10.244.0.0", "prefix_len": 16}},
        {"url_path": {"path": {"exact": "/a"}}},
        {"header": {"name": ":method", "string_match": {"exact": "GET"}}},
        {"not_rule": {"destination_port": 1}},
        {"and_rules": {"rules": [{"any": True}, {"destination_port": 8080}]}},
        {"or_rules": {"rules": [{"destination_port": 1}, {"destination_port": 8080}]}},
    ],
)
def test_permissions(rule: dict[str, Any]) -> None:
    assert holds("permissions", rule)
    assert not holds("permissions", {"not_rule": rule})


@pytest.mark.parametrize(
    "rule",
    [
        {"authenticated": {"principal_name": {"exact": PEER}}},
        {"authenticated": {}},
        {"direct_remote_ip": {"address_prefix": "10.244.0.2", "prefix_len": 32}},
        {"remote_ip": {"address_prefix": "10.244.0.2", "prefix_len": 32}},
        {"header": {"name": ":authority", "string_match": {"exact": "b"}}},
    ],
)
def test_principals(rule: dict[str, Any]) -> None:
    assert holds("principals", rule)
    assert not holds("principals", {"not_id": rule})


def test_nobody_is_authenticated_in_plaintext() -> None:
    assert not holds("principals", {"authenticated": {"principal_name": {"prefix": ""}}}, tls=False, peer="")


def test_the_client_is_the_last_hop_of_the_forwarded() -> None:
    rule = {"remote_ip": {"address_prefix": "1.2.3.4", "prefix_len": 32}}
    assert holds("principals", rule, request=http(x_forwarded_for="9.9.9.9, 1.2.3.4"))


def test_rules_about_http_hold_for_no_connection() -> None:
    assert not holds("permissions", {"url_path": {"path": {"prefix": "/"}}}, request=None)


def test_policies_in_the_order_of_their_names_up_to_the_first_that_surely_matches() -> None:
    open_ = {"permissions": [{"header": {"name": "x-request-id", "string_match": {"exact": "1"}}}]}
    subject = Subject(wire=wire(), request=http())
    seen = found(subject, c={}, b=open_, a={"permissions": [{"destination_port": 1}]}, d={})
    assert [one.policy for one in seen] == ["b", "c"]
    assert isinstance(seen[0].truth, Unknown)


def test_claims_are_as_unknown_as_the_token() -> None:
    value = {"string_match": {"exact": "me"}}
    rule = {"metadata": {"filter": "jwt", "path": [{"key": "payload"}, {"key": "iss"}], "value": value}}
    subject = Subject(wire=wire(), request=http(), metadata={"jwt": Unknown("the claims")})
    assert [one.truth for one in found(subject, p={"principals": [rule]})] == [Unknown("the claims")]
    assert found(Subject(wire=wire(), request=http()), p={"principals": [rule]}) == []
