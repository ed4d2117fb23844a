"""From Envoy's words to the policy and the line in the user's file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from meshtest.live.decisions import decided
from meshtest.mesh.build import build_model
from meshtest.mesh.manifests import load_text
from meshtest.traffic.accesslog import hop_of
from meshtest.traffic.keys import KeySet
from meshtest.traffic.model import Exchange, Outcome, Request
from meshtest.traffic.tokens import Token

if TYPE_CHECKING:
    from meshtest.mesh.model import MeshModel

MESH = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: b, namespace: ns1}
spec:
  selector: {matchLabels: {app: b}}
  template: {metadata: {labels: {app: b}}, spec: {containers: [{name: app, image: x}]}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: mesh, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: one, namespace: ns1}
spec:
  selector: {matchLabels: {app: b}}
  jwtRules: [{issuer: first, jwks: x}]
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: two, namespace: istio-system}
spec:
  jwtRules:
  - {issuer: second, jwks: x}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: others, namespace: ns1}
spec:
  selector: {matchLabels: {app: c}}
  jwtRules: [{issuer: third, jwks: x}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: watch, namespace: ns1}
spec:
  action: AUDIT
  rules:
  - {}
"""
OF_B = "selector: {matchLabels: {app: b}}"
PLAINTEXT: dict[str, Any] = {
    "layer": "tcp",
    "details": "filter_chain_not_found",
    "downstream_local": "10.0.0.1:8080",
    "downstream_failure": "TLS_error|error:1000009c:SSL_routines:OPENSSL_internal:HTTP_REQUEST:TLS_error_end",
}


def model(*more: str) -> MeshModel:
    return build_model(load_text("---\n".join((MESH, *more)), "p.yaml"))


def exchange(headers: tuple[tuple[str, str], ...] = (), url: str = "http://b/", **line: Any) -> Exchange:
    hop = hop_of({"pod": "ns1/b-0", "side": "inbound", "layer": "http", **line})
    return Exchange(
        id="x",
        caller="ns1/a-0",
        request=Request(url=url, headers=headers),
        outcome=Outcome.RESPONSE,
        started=0.0,
        latency=0.0,
        hops=(hop,),
    )


def said(one: Exchange, mesh: MeshModel | None = None) -> str:
    (found,) = decided([one], mesh or model())
    return str(found.decided_by)


def peer(name: str, namespace: str, spec: str) -> str:
    head = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\n"
    return f"{head}metadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  {spec}\n"


@pytest.mark.parametrize(
    ("policies", "name"),
    [
        ([], "istio-system/mesh"),
        ([peer("ns", "ns1", "mtls: {mode: PERMISSIVE}")], "ns1/ns"),
        ([peer("ns", "ns1", "mtls: {mode: UNSET}")], "istio-system/mesh"),
        ([peer("ns", "ns2", "mtls: {mode: PERMISSIVE}")], "istio-system/mesh"),
        ([peer("own", "ns1", "{selector: {matchLabels: {app: b}}, mtls: {mode: STRICT}}")], "ns1/own"),
        ([peer("own", "ns1", "{selector: {matchLabels: {app: c}}, mtls: {mode: STRICT}}")], "istio-system/mesh"),
        ([peer("port", "ns1", f"{{{OF_B}, portLevelMtls: {{8080: {{mode: STRICT}}}}}}")], "ns1/port"),
        ([peer("port", "ns1", f"{{{OF_B}, portLevelMtls: {{81: {{mode: STRICT}}}}}}")], "istio-system/mesh"),
        ([peer("old", "ns1", "mtls: {mode: STRICT}"), peer("new", "ns1", "mtls: {mode: DISABLE}")], "ns1/old"),
    ],
    ids=["mesh", "namespace", "unset", "elsewhere", "workload", "other-workload", "port", "other-port", "the-oldest"],
)  # fmt: skip
def test_plaintext_is_refused_by_the_nearest_policy(policies: list[str], name: str) -> None:
    text = said(exchange(**PLAINTEXT), model(*policies))
    assert f"denied by PeerAuthentication {name} (p.yaml:" in text
    assert text.endswith("plaintext where mTLS is required")


def bearer(issuer: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", "Bearer " + KeySet().sign(Token(issuer=issuer))),)


EXPIRED: dict[str, Any] = {"details": "jwt_authn_access_denied{Jwt_is_expired}"}


def test_a_token_is_refused_by_the_policy_with_its_issuer() -> None:
    wanted = "denied by RequestAuthentication {} (p.yaml:{}): Jwt is expired"
    assert said(exchange(bearer("first"), **EXPIRED)) == wanted.format("ns1/one", 18)
    assert said(exchange(bearer("second"), **EXPIRED)) == wanted.format("istio-system/two", 25)


def test_a_token_is_found_wherever_it_stands() -> None:
    token = KeySet().sign(Token(issuer="second"))
    for one in (
        exchange((("x-token", f"Value {token}"),), **EXPIRED),
        exchange((("cookie", f"a=b; session={token}"),), **EXPIRED),
        exchange(url=f"http://b/?token={token}&c=d", **EXPIRED),
    ):
        assert "istio-system/two" in said(one)


def test_of_several_policies_none_is_named_where_the_token_does_not_tell() -> None:
    assert said(exchange(bearer("nobody"), **EXPIRED)) == "denied by a RequestAuthentication: Jwt is expired"


def test_the_only_policy_there_is_refuses_strangers() -> None:
    only = build_model(
        load_text(MESH.replace("issuer: second", "issuer: third").replace("istio-system", "ns9"), "p.yaml")
    )
    assert "ns1/one (p.yaml:" in said(exchange(bearer("nobody"), **EXPIRED), only)


def test_what_let_it_through_and_what_only_watched() -> None:
    name = "ns[ns1]-policy[watch]-rule[0]"
    rbac = {"enforced_engine_result": "allowed", "enforced_effective_policy_id": name}
    (found,) = decided([exchange(details="via_upstream", rbac=rbac)], model())
    assert found.decided_by is None
    assert [str(each) for each in found.policies] == [
        "audited by AuthorizationPolicy ns1/watch rule 0 (p.yaml:40)"
    ]


def test_the_callees_refusal_goes_before_the_broken_connection_of_its_caller() -> None:
    rule = "/apis/networking.istio.io/v1/namespaces/ns1/destination-rule/dr"
    broken = hop_of({
        "pod": "ns1/a-0", "side": "outbound", "layer": "http", "destination_rule": rule,
        "upstream_failure": "TLS_error:|1:SSL_routines:OPENSSL_internal:X:TLS_error_end",
    })  # fmt: skip
    one = exchange(**PLAINTEXT)
    both = Exchange(**{**{name: getattr(one, name) for name in one.__slots__}, "hops": (broken, *one.hops)})
    assert "PeerAuthentication" in said(both)


ROUTES = """\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: ns1}
spec:
  rules:
  - {backendRefs: [{name: one, port: 80}]}
  - {backendRefs: [{name: two, port: 80}]}
"""
MADE = "/apis/networking.istio.io/v1/namespaces/ns1/virtual-service/ns1~80~web.ns1.svc.cluster.local"


def test_a_route_of_the_gateway_api_is_named_by_its_rule() -> None:
    by_rule = exchange(side="outbound", config=MADE, route="ns1.web.1")
    assert said(by_rule, model(ROUTES)).startswith("routed by HTTPRoute ns1/web rule 1 (p.yaml:")
    assert said(exchange(side="outbound", config=MADE, route="ns1.gone.0"), model(ROUTES)) == "None"


def test_what_became_of_a_copy_is_no_decision() -> None:
    refused = "rbac_access_denied_matched_policy[none]"
    assert said(exchange(details=refused)).startswith("denied since no AuthorizationPolicy matched")
    assert said(exchange(details=refused, baggage="meshtest=x,meshtest-mirror=1")) == "None"
