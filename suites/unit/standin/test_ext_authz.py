"""The external authorization service, asked as Envoy asks it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from envoy.service.auth.v3 import external_auth_pb2

from meshtest.standin.ext_authz import DENIAL, OVERRIDE, RECEIVED, RESULT

if TYPE_CHECKING:
    from suites.unit.standin.conftest import StandIn, Start


@pytest.fixture
def authz(start: Start) -> StandIn:
    return start(plays="ext-authz", allowServiceAccounts=["reviews"])


def noted(standin: StandIn) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = json.loads(standin.ask("/_meshtest/received").body)
    return told


def test_over_http_the_header_decides(authz: StandIn) -> None:
    allowed = authz.ask("/a", x_ext_authz="allow")
    assert (allowed.status, allowed.body, allowed.response.getheader(RESULT)) == (200, b"", "allowed")
    denied = authz.ask("/b", x_ext_authz="deny")
    assert (denied.status, denied.body.decode()) == (403, DENIAL)
    assert denied.response.getheader(RESULT) == "denied"
    assert authz.ask("/c").status == 403


def test_it_gives_back_what_it_received(authz: StandIn) -> None:
    answer = authz.ask("/a", method="POST", body=b"q=1", x_tenant="acme", **{OVERRIDE: "mine"})
    received = answer.response.getheader(RECEIVED) or ""
    assert "path='/a'" in received
    assert "'x-tenant': 'acme'" in received
    assert "body='q=1'" in received
    assert answer.response.getheader(OVERRIDE) == "mine"


def test_a_long_question_does_not_make_a_head_that_envoy_refuses(authz: StandIn) -> None:
    answer = authz.ask("/a", method="POST", body=b"x" * 200_000)
    assert len(answer.response.getheader(RECEIVED) or "") < 60 << 10


def check(standin: StandIn, principal: str = "", **headers: str) -> Any:
    request = external_auth_pb2.CheckRequest()
    request.attributes.source.principal = principal
    request.attributes.request.http.path = "/a"
    request.attributes.request.http.headers.update({k.replace("_", "-"): v for k, v in headers.items()})
    channel: Any  # grpcio's stubs know no calls without serializers
    with grpc.insecure_channel(f"127.0.0.1:{standin.port}") as channel:
        ask = channel.unary_unary("/envoy.service.auth.v3.Authorization/Check")
        return external_auth_pb2.CheckResponse.FromString(ask(request.SerializeToString()))


@pytest.mark.parametrize(
    ("principal", "headers", "code"),
    [
        ("", {"x_ext_authz": "allow"}, 0),
        ("", {"x_ext_authz": "deny"}, 7),
        ("", {}, 7),
        ("spiffe://cluster.local/ns/default/sa/reviews", {}, 0),
        ("spiffe://cluster.local/ns/default/sa/others", {}, 7),
        ("spiffe://cluster.local/ns/default/sa/reviews", {"x_ext_authz": "deny"}, 7),
    ],
    ids=["allow", "deny", "nothing", "account", "other-account", "the-header-wins"],
)
def test_over_grpc_the_header_decides_or_else_the_account(
    authz: StandIn, principal: str, headers: dict[str, str], code: int
) -> None:
    response = check(authz, principal, **headers)
    assert response.status.code == code
    said = response.denied_response if code else response.ok_response
    named = {each.header.key: each.header.value for each in said.headers}
    assert named[RESULT] == ("denied" if code else "allowed")
    assert named[OVERRIDE] == "grpc-additional-header-override-value"


def test_it_remembers_what_it_was_asked_until_it_is_told_to_forget(authz: StandIn) -> None:
    authz.ask("/a", x_ext_authz="allow")
    check(authz, "spiffe://cluster.local/ns/default/sa/reviews")
    first, second = noted(authz)
    assert (first["protocol"], first["path"], first["allowed"]) == ("http", "/a", True)
    assert (second["protocol"], second["principal"][-10:], second["allowed"]) == ("grpc", "sa/reviews", True)
    assert authz.ask("/_meshtest/reset", method="POST").status == 200
    assert noted(authz) == []
