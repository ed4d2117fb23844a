"""Which policy wins: actions, scopes, TCP, and paths as Envoy reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.errors import ManifestError
from meshtest.traffic.model import Outcome

if TYPE_CHECKING:
    from meshtest import Mesh

pytestmark = pytest.mark.mesh("fixtures/protocols", "fixtures/ext-authz")

ALICE, BOB, LEGACY = "shop/alice", "office/bob", "shop/legacy"
URL = "http://server.shop"
GRPC_PROVIDER = """
extensionProviders:
- name: grpc
  envoyExtAuthzGrpc: {service: ext-authz.authz.svc.cluster.local, port: 9000}
- name: http
  envoyExtAuthzHttp:
    service: ext-authz.authz.svc.cluster.local
    port: 8000
    includeRequestHeadersInCheck: [x-ext-authz]
    includeAdditionalHeadersInCheck: {x-tenant: acme}
    headersToUpstreamOnAllow: ["x-ext-authz-*"]
    headersToDownstreamOnDeny: [x-ext-authz-check-result]
    includeRequestBodyInCheck: {maxRequestBytes: 16, allowPartialMessage: true}
"""
TOKENS = """
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: shop}
spec: {jwtRules: [{issuer: me, jwks: KEYS}]}
"""


def policy(name: str, action: str, rules: str, namespace: str = "shop", spec: str = "") -> str:
    return f"""
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  action: {action}
  {spec}
  {rules and "rules: " + rules}
"""


def path(*paths: str) -> str:
    return f"{{to: [{{operation: {{paths: [{', '.join(repr(each) for each in paths)}]}}}}]}}"


def decided(mesh: Mesh, url: str = f"{URL}/", caller: str = ALICE, **fields: object) -> str:
    """Status and the name of what denied, in short."""
    exchange = mesh.request(caller, url, **fields)
    known = exchange.decided_by
    by = f" {known.name or 'default'}" if known and known.effect == "denied" else ""
    return f"{exchange.status or exchange.outcome.value}{by}"


def test_without_policies_everything_is_allowed(mesh: Mesh) -> None:
    mesh.replace()
    assert decided(mesh) == "200"


def test_deny_wins_over_allow(mesh: Mesh) -> None:
    mesh.replace(
        policy("allow", "ALLOW", f"[{path('/a*')}]") + policy("deny", "DENY", f"[{path('/a/admin')}]")
    )
    assert decided(mesh, f"{URL}/a") == "200"
    assert decided(mesh, f"{URL}/a/admin") == "403 deny"
    assert decided(mesh, f"{URL}/b") == "403 default"


def test_custom_wins_over_deny_and_deny_over_what_custom_allows(mesh: Mesh) -> None:
    mesh.replace(
        policy("ask", "CUSTOM", f"[{path('/a*')}]", spec="provider: {name: grpc}"),
        policy("deny", "DENY", f"[{path('/a/admin')}]"),
        mesh_config=GRPC_PROVIDER,
    )
    say_no, say_yes = {"x-ext-authz": "deny"}, {"x-ext-authz": "allow"}
    assert decided(mesh, f"{URL}/a/admin", headers=say_no) == "403 ask"
    assert decided(mesh, f"{URL}/a/admin", headers=say_yes) == "403 deny"
    assert decided(mesh, f"{URL}/a", headers=say_yes) == "200"
    assert decided(mesh, f"{URL}/b", headers=say_no) == "200"


def test_audit_stops_nothing(mesh: Mesh) -> None:
    mesh.replace(policy("watch", "AUDIT", "[{}]"))
    exchange = mesh.request(ALICE, f"{URL}/")
    assert exchange.status == 200
    assert [(each.effect, each.name) for each in exchange.policies] == [("audited", "watch")]


@pytest.mark.parametrize(("other", "by"), [("DENY", "deny"), ("ALLOW", "default")])
def test_audit_lets_nobody_in_either(mesh: Mesh, other: str, by: str) -> None:
    rule = "[{}]" if other == "DENY" else f"[{path('/else')}]"
    mesh.replace(policy("watch", "AUDIT", "[{}]") + policy(other.lower(), other, rule))
    assert decided(mesh) == f"403 {by}"
    told = mesh.request(ALICE, f"{URL}/else").policies
    assert ("audited", "watch") in [(each.effect, each.name) for each in told]


def test_tokens_are_looked_at_after_custom_and_before_deny(mesh: Mesh) -> None:
    mesh.replace(
        TOKENS.replace("KEYS", f"'{mesh.jwks}'"),
        policy("ask", "CUSTOM", "[{}]", spec="provider: {name: grpc}"),
        policy("deny", "DENY", f"[{path('/a')}]"),
        mesh_config=GRPC_PROVIDER,
    )
    good, bad = (f"Bearer {mesh.token(issuer='me', key=key)}" for key in ("known", "unknown"))
    found = [
        decided(mesh, f"{URL}/a", headers={"x-ext-authz": answer, "authorization": token})
        for answer, token in (("deny", bad), ("allow", bad), ("allow", good))
    ]
    assert found == ["403 ask", "401 tokens", "403 deny"]


@pytest.mark.parametrize(
    ("action", "rules", "outcome"),
    [
        ("ALLOW", "", "403 default"),
        ("ALLOW", "[{}]", "200"),
        ("DENY", "[{}]", "403 p"),
    ],
    ids=["allow-nothing", "allow-all", "deny-all"],
)
def test_no_rules_match_nothing_and_an_empty_rule_everything(
    mesh: Mesh, action: str, rules: str, outcome: str
) -> None:
    mesh.replace(policy("p", action, rules))
    assert decided(mesh) == outcome


def test_a_deny_policy_that_denies_nothing_is_refused(mesh: Mesh) -> None:
    with pytest.raises(ManifestError, match="DENY action without `rules` is meaningless"):
        mesh.replace(policy("p", "DENY", ""))
    assert decided(mesh) == "200"


def test_scopes_add_up(mesh: Mesh) -> None:
    """The root namespace, the workload's own, a selector; a policy elsewhere or for others has no say."""
    selected = "selector: {matchLabels: {app: server}}"
    mesh.replace(
        policy("everywhere", "ALLOW", f"[{path('/root')}]", "istio-system")
        + policy("of-servers", "ALLOW", f"[{path('/root-selected')}]", "istio-system", selected)
        + policy("here", "ALLOW", f"[{path('/here')}]")
        + policy("selected", "ALLOW", f"[{path('/selected')}]", spec=selected)
        + policy("others", "ALLOW", f"[{path('/others')}]", spec="selector: {matchLabels: {app: alice}}")
        + policy("elsewhere", "ALLOW", f"[{path('/elsewhere')}]", "office")
    )
    found = {
        name: decided(mesh, f"{URL}/{name}")
        for name in ("root", "root-selected", "here", "selected", "others", "elsewhere")
    }
    assert found == {
        "root": "200", "root-selected": "200", "here": "200", "selected": "200",
        "others": "403 default", "elsewhere": "403 default",
    }  # fmt: skip


def test_the_root_namespace_is_what_mesh_config_says(mesh: Mesh) -> None:
    mesh.replace(policy("deny", "DENY", "[{}]", "office"), mesh_config="rootNamespace: office")
    assert decided(mesh) == "403 deny"
    mesh.replace(policy("deny", "DENY", "[{}]", "office"))
    assert decided(mesh) == "200"


# -- TCP -------------------------------------------------------------------------------------------------------


def tcp(mesh: Mesh, caller: str = ALICE) -> str:
    return decided(mesh, "tcp://server.shop:83", caller, body=b"hello")


def test_tcp_goes_by_identity_and_port(mesh: Mesh) -> None:
    rule = "{from: [{source: {namespaces: [office]}}], to: [{operation: {ports: ['8083']}}]}"
    mesh.replace(policy("p", "ALLOW", f"[{rule}]"))
    assert tcp(mesh, BOB) == "response"
    assert tcp(mesh) == "reset default"
    mesh.replace(policy("p", "DENY", f"[{rule}]"))
    assert tcp(mesh, BOB) == "reset p"
    assert tcp(mesh) == "response"


def test_on_tcp_an_allow_rule_with_http_fields_is_dropped(mesh: Mesh) -> None:
    http = "{to: [{operation: {methods: [GET], ports: ['8083']}}]}"
    mesh.replace(policy("p", "ALLOW", f"[{http}]"))
    assert tcp(mesh) == "reset default"
    mesh.replace(policy("p", "ALLOW", f"[{http}, {{to: [{{operation: {{ports: ['8083']}}}}]}}]"))
    assert tcp(mesh) == "response"


def test_on_tcp_a_deny_rule_keeps_its_tcp_part_and_so_denies_more(mesh: Mesh) -> None:
    rule = "{from: [{source: {namespaces: [shop]}}], to: [{operation: {methods: [PUT]}}]}"
    mesh.replace(policy("p", "DENY", f"[{rule}]"))
    assert decided(mesh) == "200"
    assert tcp(mesh) == "reset p"
    assert tcp(mesh, BOB) == "response"


def test_tcp_is_decided_by_an_external_service_too(mesh: Mesh) -> None:
    """Over TCP there are no headers: the stand-in goes by service account, and an HTTP provider has no say."""
    port = "[{to: [{operation: {ports: ['8083']}}]}]"
    mesh.replace(policy("ask", "CUSTOM", port, spec="provider: {name: grpc}"), mesh_config=GRPC_PROVIDER)
    mesh.received("authz/ext-authz", forget=True)
    assert tcp(mesh) == "reset ask"
    (asked,) = mesh.received("authz/ext-authz")
    assert asked["principal"] == "spiffe://cluster.local/ns/shop/sa/alice"
    mesh.replace(policy("ask", "CUSTOM", port, spec="provider: {name: http}"), mesh_config=GRPC_PROVIDER)
    assert tcp(mesh) == "response"


# -- providers -------------------------------------------------------------------------------------------------


def test_an_http_provider_gets_what_mesh_config_says_and_the_caller_what_it_may(mesh: Mesh) -> None:
    mesh.replace(policy("ask", "CUSTOM", "[{}]", spec="provider: {name: http}"), mesh_config=GRPC_PROVIDER)
    mesh.received("authz/ext-authz", forget=True)
    headers = {"x-ext-authz": "allow", "x-other": "1", "cookie": "a=b"}
    allowed = mesh.request(ALICE, f"{URL}/a?b=c", method="PUT", headers=headers, body=b"0123456789abcdefXYZ")
    assert allowed.backend is not None
    assert allowed.backend.request.headers["x-ext-authz-check-result"] == ["allowed"]
    (asked,) = mesh.received("authz/ext-authz")
    assert (asked["method"], asked["path"], asked["body"]) == ("PUT", "/a?b=c", "0123456789abcdef")
    assert asked["headers"]["x-tenant"] == "acme"
    assert "x-other" not in asked["headers"]
    denied = mesh.request(ALICE, f"{URL}/", headers={"x-ext-authz": "deny"})
    assert denied.status == 403
    assert denied.headers["x-ext-authz-check-result"] == "denied"
    assert denied.headers.get("x-ext-authz-check-received") is None
    assert denied.body.startswith(b"denied by ext_authz")


def test_two_providers_at_one_workload(mesh: Mesh) -> None:
    """Each asks about its own paths; where both match, both must allow."""
    mesh.replace(
        policy("api", "CUSTOM", f"[{path('/api/*')}]", spec="provider: {name: http}")
        + policy("admin", "CUSTOM", f"[{path('/api/admin', '/admin')}]", spec="provider: {name: grpc}"),
        mesh_config=GRPC_PROVIDER,
    )
    for place, asked in (("/api/x", 1), ("/admin", 1), ("/api/admin", 2), ("/open", 0)):
        mesh.received("authz/ext-authz", forget=True)
        assert decided(mesh, f"{URL}{place}", headers={"x-ext-authz": "allow"}) == "200"
        assert len(mesh.received("authz/ext-authz")) == asked, place
    assert decided(mesh, f"{URL}/api/x", headers={"x-ext-authz": "no"}) == "403 api"
    assert decided(mesh, f"{URL}/admin", headers={"x-ext-authz": "no"}) == "403 admin"
    assert decided(mesh, f"{URL}/open", headers={"x-ext-authz": "no"}) == "200"


# -- paths -----------------------------------------------------------------------------------------------------

PUBLIC = policy("public", "ALLOW", f"[{path('/public*')}]")


@pytest.mark.parametrize(
    ("normalization", "sent", "outcome", "received"),
    [
        ("BASE", "/public/../private", "403 default", ""),
        ("BASE", "/public/%2e%2E/private", "403 default", ""),
        ("BASE", "/private/../public", "200", "/public"),
        ("BASE", "/public//x", "200", "/public//x"),
        ("BASE", "/public%2f..%2fprivate", "200", "/public%2f..%2fprivate"),
        ("BASE", r"/public\x", "200", "/public/x"),
        ("NONE", "/public/../private", "200", "/public/../private"),
        ("MERGE_SLASHES", "//public//x", "200", "/public/x"),
        ("DECODE_AND_MERGE_SLASHES", "/public%2f..%2fprivate", "403 default", ""),
        ("DECODE_AND_MERGE_SLASHES", "/%2fpublic%5cx", "200", "/public/x"),
        ("DECODE_AND_MERGE_SLASHES", "/public%00", "400", ""),
        ("BASE", "/public#fragment", "200", "/public"),
    ],
)
def test_paths_are_judged_as_they_are_passed_on(
    mesh: Mesh, normalization: str, sent: str, outcome: str, received: str
) -> None:
    mesh.replace(PUBLIC, mesh_config=f"pathNormalization: {{normalization: {normalization}}}")
    exchange = mesh.request(LEGACY, f"{URL}{sent}")
    known = exchange.decided_by
    by = f" {known.name or 'default'}" if known and known.effect == "denied" else ""
    assert f"{exchange.status}{by}" == outcome
    assert (exchange.backend.request.path if exchange.backend else "") == received


def test_a_policy_that_is_swapped_holds_for_the_next_request(mesh: Mesh) -> None:
    for _ in range(10):
        mesh.replace(policy("p", "DENY", "[{}]"))
        assert decided(mesh) == "403 p"
        mesh.replace()
        assert decided(mesh) == "200"


def test_who_has_no_answer_has_none_of_the_application(mesh: Mesh) -> None:
    mesh.replace(policy("p", "DENY", "[{}]"))
    exchange = mesh.request(LEGACY, "tcp://server.shop:83", body=b"hello")
    assert (exchange.outcome, exchange.backend) == (Outcome.RESET, None)
