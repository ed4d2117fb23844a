"""Every field of an AuthorizationPolicy's rules, each as ALLOW and as DENY, on real requests.

A table says of each rule which requests it matches. As an ALLOW policy it then lets those through and nothing else, as
a DENY policy it stops those and nothing else; whoever denied is named with its rule, its file and its line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest import Mesh
    from meshtest.traffic.model import Exchange

pytestmark = pytest.mark.mesh("fixtures/protocols", "fixtures/jwks")

ALICE, BOB, LEGACY = "shop/alice", "office/bob", "shop/legacy"
ISSUER = "https://issuer.meshtest.dev"
TOKENS = """
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: shop}
spec: {jwtRules: [{issuer: https://issuer.meshtest.dev, jwksUri: "http://jwks.tokens.svc.cluster.local:8000/keys"}]}
---
"""
POLICY = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: %(name)s, namespace: %(namespace)s}
spec:
  action: %(action)s
  rules:
  - %(rule)s
"""


def policy(rule: str, action: str = "ALLOW", name: str = "the-rule", namespace: str = "shop") -> str:
    """Where it stands alone in a file, its rule is on line 7."""
    return POLICY % {"name": name, "namespace": namespace, "action": action, "rule": rule}


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A request, and what stands for it in the id of a test."""

    caller: str = ALICE
    path: str = "/"
    port: int = 80
    token: Mapping[str, Any] | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)

    def send(self, mesh: Mesh) -> Exchange:
        headers = dict(self.fields.get("headers", {}))
        if self.token is not None:
            headers["authorization"] = "Bearer " + mesh.token(**self.token)
        scheme = {80: "http", 81: "h2c", 82: "grpc", 83: "tcp"}[self.port]
        path = "" if scheme == "tcp" else self.path
        fields: dict[str, Any] = {**self.fields, "headers": headers}
        if scheme == "tcp":
            fields = {"body": b"hello"}
        return mesh.request(self.caller, f"{scheme}://server.shop:{self.port}{path}", **fields)


def ask(caller: str = ALICE, path: str = "/", port: int = 80, token: Any = None, **fields: Any) -> Ask:
    return Ask(caller=caller, path=path, port=port, token=token, fields=fields)


def header(**headers: str) -> dict[str, Any]:
    return {"headers": {name.replace("_", "-"): value for name, value in headers.items()}}


def source(text: str) -> str:
    return f"from: [{{source: {{{text}}}}}]"


def operation(text: str) -> str:
    return f"to: [{{operation: {{{text}}}}}]"


def when(key: str, values: str) -> str:
    return f"when: [{{key: '{key}', {values}}}]"


WHEN_A_IS_B = when("request.headers[a]", "values: [b]")
Case = tuple[str, list[Ask], list[Ask]]
ANYBODY = [ask(), ask(BOB), ask(LEGACY)]
SOURCES: dict[str, Case] = {
    "principals": (source("principals: [cluster.local/ns/shop/sa/alice]"), [ask()], [ask(BOB), ask(LEGACY)]),
    "principals-prefix": (source("principals: [cluster.local/ns/shop/*]"), [ask()], [ask(BOB), ask(LEGACY)]),
    "principals-suffix": (source("principals: ['*/sa/bob']"), [ask(BOB)], [ask(), ask(LEGACY)]),
    "principals-any": (source("principals: ['*']"), [ask(), ask(BOB)], [ask(LEGACY)]),
    "notPrincipals": (source("notPrincipals: ['*/sa/alice']"), [ask(BOB), ask(LEGACY)], [ask()]),
    "notPrincipals-any": (source("notPrincipals: ['*']"), [ask(LEGACY)], [ask(), ask(BOB)]),
    "namespaces": (source("namespaces: [office]"), [ask(BOB)], [ask(), ask(LEGACY)]),
    "namespaces-prefix": (source("namespaces: [off*]"), [ask(BOB)], [ask(), ask(LEGACY)]),
    "notNamespaces": (source("notNamespaces: [office]"), [ask(), ask(LEGACY)], [ask(BOB)]),
    "serviceAccounts": (source("serviceAccounts: [office/bob]"), [ask(BOB)], [ask(), ask(LEGACY)]),
    "serviceAccounts-of-the-same-namespace": (
        source("serviceAccounts: [alice]"), [ask()], [ask(BOB), ask(LEGACY)],
    ),
    "notServiceAccounts": (source("notServiceAccounts: [office/bob]"), [ask(), ask(LEGACY)], [ask(BOB)]),
    "trustDomains": (source("trustDomains: [cluster.local]"), [ask(), ask(BOB)], [ask(LEGACY)]),
    "trustDomains-other": (source("trustDomains: [bad.example]"), [], ANYBODY),
    "notTrustDomains": (source("notTrustDomains: [cluster.local]"), [ask(LEGACY)], [ask(), ask(BOB)]),
    "ipBlocks": (source("ipBlocks: ['${alice}']"), [ask()], [ask(BOB), ask(LEGACY)]),
    "ipBlocks-net": (source("ipBlocks: [10.0.0.0/8]"), ANYBODY, []),
    "notIpBlocks": (source("notIpBlocks: ['${alice}']"), [ask(BOB), ask(LEGACY)], [ask()]),
    "remoteIpBlocks": (
        source("remoteIpBlocks: [192.0.2.0/24]"),
        [ask(**header(x_forwarded_for="192.0.2.7"))],
        [ask(), ask(**header(x_forwarded_for="198.51.100.1"))],
    ),
    "notRemoteIpBlocks": (
        source("notRemoteIpBlocks: [192.0.2.0/24]"), [ask()], [ask(**header(x_forwarded_for="192.0.2.7"))],
    ),
    "requestPrincipals": (
        source(f"requestPrincipals: ['{ISSUER}/jason']"),
        [ask(token={"subject": "jason"})],
        [ask(token={"subject": "mary"}), ask()],
    ),
    "requestPrincipals-any": (source("requestPrincipals: ['*']"), [ask(token={})], [ask()]),
    "notRequestPrincipals": (
        source("notRequestPrincipals: ['*/jason']"),
        [ask(token={"subject": "mary"}), ask()],
        [ask(token={"subject": "jason"})],
    ),
    "two-sources": (
        "from: [{source: {namespaces: [office]}}, {source: {principals: ['*/sa/alice']}}]",
        [ask(), ask(BOB)],
        [ask(LEGACY)],
    ),
    "fields-of-a-source": (
        source("namespaces: [office, shop], principals: ['*/sa/alice']"), [ask()], [ask(BOB), ask(LEGACY)],
    ),
}  # fmt: skip
OPERATIONS: dict[str, Case] = {
    "hosts": (
        operation("hosts: [a.example]"),
        [ask(host="a.example"), ask(host="A.EXAMPLE")],
        [ask(), ask(host="b.example"), ask(host="a.example.org")],
    ),
    "hosts-prefix": (operation("hosts: ['api.*']"), [ask(host="api.example"), ask(host="API.x")], [ask()]),
    "hosts-suffix": (operation("hosts: ['*.example']"), [ask(host="b.Example")], [ask(), ask(host="b.example.org")]),
    "notHosts": (operation("notHosts: [a.example]"), [ask()], [ask(host="a.example"), ask(host="A.Example")]),
    "ports": (operation("ports: ['8080']"), [ask()], [ask(port=81)]),
    "ports-of-the-service-do-not-count": (operation("ports: ['80']"), [], [ask()]),
    "notPorts": (operation("notPorts: ['8081']"), [ask()], [ask(port=81)]),
    "methods": (operation("methods: [GET, PUT]"), [ask(), ask(method="PUT")], [ask(method="POST")]),
    "methods-prefix": (operation("methods: ['P*']"), [ask(method="PUT"), ask(method="POST")], [ask()]),
    "notMethods": (operation("notMethods: [PUT]"), [ask()], [ask(method="PUT")]),
    "paths": (operation("paths: [/a]"), [ask(path="/a"), ask(path="/a?q=1")], [ask(path="/a/"), ask(path="/A")]),
    "paths-prefix": (operation("paths: ['/a*']"), [ask(path="/a"), ask(path="/ab/c?d")], [ask(path="/b")]),
    "paths-suffix": (operation("paths: ['*/info']"), [ask(path="/x/info"), ask(path="/info?x")], [ask(path="/infos")]),
    "paths-any": (operation("paths: ['*']"), [ask(), ask(path="/x")], []),
    "notPaths": (operation("paths: ['/a*'], notPaths: [/a/b]"), [ask(path="/a")], [ask(path="/a/b"), ask()]),
    "paths-template-segment": (
        operation("paths: ['/foo/{*}/bar']"),
        [ask(path="/foo/x/bar"), ask(path="/foo/x.y/bar?z")],
        [ask(path="/foo/bar"), ask(path="/foo/x/y/bar"), ask(path="/foo//bar")],
    ),
    "paths-template-rest": (
        operation("paths: ['/store/{**}']"),
        [ask(path="/store/a"), ask(path="/store/a/b.txt"), ask(path="/store/")],
        [ask(path="/store"), ask(path="/stores/a")],
    ),
    "paths-template-middle": (
        operation("paths: ['/store/{**}/cart']"),
        [ask(path="/store/a/cart"), ask(path="/store/a/b/cart"), ask(path="/store//cart")],
        [ask(path="/store/cart")],
    ),
    "grpc": (
        operation("paths: [/shop.Cart/Add], methods: [POST]"),
        [ask(path="/shop.Cart/Add", port=82)],
        [ask(path="/shop.Cart/Drop", port=82)],
    ),
    "two-operations": (
        "to: [{operation: {methods: [GET]}}, {operation: {paths: [/a]}}]",
        [ask(), ask(path="/a", method="PUT")],
        [ask(path="/b", method="PUT")],
    ),
    "fields-of-an-operation": (
        operation("methods: [GET], paths: [/a]"), [ask(path="/a")], [ask(), ask(path="/a", method="PUT")],
    ),
}  # fmt: skip
CONDITIONS: dict[str, Case] = {
    "request.headers": (
        when("request.headers[x-foo]", "values: [foo, b*]"),
        [ask(**header(x_foo="foo")), ask(**header(X_Foo="bar"))],
        [ask(), ask(**header(x_foo="Foo"))],
    ),
    "request.headers-not": (
        when("request.headers[x-foo]", "notValues: [foo]"),
        [ask(), ask(**header(x_foo="bar"))],
        [ask(**header(x_foo="foo"))],
    ),
    "request.headers-any": (when("request.headers[x-foo]", "values: ['*']"), [ask(**header(x_foo="x"))], [ask()]),
    "source.ip": (when("source.ip", "values: ['${alice}']"), [ask()], [ask(BOB), ask(LEGACY)]),
    "source.ip-not": (when("source.ip", "notValues: ['${alice}']"), [ask(BOB), ask(LEGACY)], [ask()]),
    "remote.ip": (when("remote.ip", "values: [192.0.2.0/24]"), [ask(**header(x_forwarded_for="192.0.2.7"))], [ask()]),
    "source.namespace": (when("source.namespace", "values: [office]"), [ask(BOB)], [ask(), ask(LEGACY)]),
    "source.namespace-not": (when("source.namespace", "notValues: [office]"), [ask(), ask(LEGACY)], [ask(BOB)]),
    "source.principal": (when("source.principal", "values: ['*/sa/bob']"), [ask(BOB)], [ask(), ask(LEGACY)]),
    "source.serviceAccount": (when("source.serviceAccount", "values: [office/bob]"), [ask(BOB)], [ask(), ask(LEGACY)]),
    "source.trustDomain": (when("source.trustDomain", "values: [cluster.local]"), [ask()], [ask(LEGACY)]),
    "destination.ip": (when("destination.ip", "values: ['${server}']"), [ask(), ask(BOB)], []),
    "destination.ip-other": (when("destination.ip", "values: [1.2.3.4]"), [], [ask()]),
    "destination.port": (when("destination.port", "values: ['8080']"), [ask()], [ask(port=81)]),
    "connection.sni": (
        when("connection.sni", "values: ['*.server.shop.svc.cluster.local']"), [ask(), ask(BOB)], [ask(LEGACY)],
    ),
    "request.auth.principal": (when("request.auth.principal", f"values: ['{ISSUER}/*']"), [ask(token={})], [ask()]),
    "request.auth.audiences": (
        when("request.auth.audiences", "values: [shop]"),
        [ask(token={"audience": "shop"}), ask(token={"audience": ["x", "shop"]})],
        [ask(token={}), ask(token={"audience": "x"}), ask()],
    ),
    "request.auth.presenter": (
        when("request.auth.presenter", "values: [app]"), [ask(token={"claims": {"azp": "app"}})], [ask(token={})],
    ),
    "request.auth.claims": (
        when("request.auth.claims[groups]", "values: [a]"),
        [ask(token={"claims": {"groups": ["b", "a"]}}), ask(token={"claims": {"groups": "a"}})],
        [ask(token={"claims": {"groups": ["b"]}}), ask(token={}), ask()],
    ),
    "request.auth.claims-nested": (
        when("request.auth.claims[a][b]", "values: [c]"),
        [ask(token={"claims": {"a": {"b": "c"}}})],
        [ask(token={"claims": {"a": {"b": "d"}}}), ask(token={"claims": {"a.b": "c"}})],
    ),
    "request.auth.claims-of-words": (
        when("request.auth.claims[scope]", "values: [write]"),
        [ask(token={"claims": {"scope": "read write"}})],
        [ask(token={"claims": {"scope": "read writer"}})],
    ),
    "two-conditions": (
        "when: [{key: 'request.headers[a]', values: ['1']}, {key: 'request.headers[b]', values: ['2']}]",
        [ask(**header(a="1", b="2"))],
        [ask(**header(a="1")), ask(**header(b="2")), ask()],
    ),
    "from-to-and-when": (
        "{" + ", ".join((source("namespaces: [shop]"), operation("methods: [GET]"), WHEN_A_IS_B)) + "}",
        [ask(**header(a="b"))],
        [ask(), ask(BOB, **header(a="b")), ask(method="PUT", **header(a="b"))],
    ),
}  # fmt: skip
CASES = {**SOURCES, **OPERATIONS, **CONDITIONS}


def with_addresses(mesh: Mesh, rule: str) -> str:
    by_name = {pod.workload: pod.ip for pod in mesh.pods}
    return rule.replace("${alice}", by_name["alice"]).replace("${server}", by_name["server"])


def refused(exchange: Exchange) -> bool:
    return exchange.status == 403 or exchange.grpc_status == 7


def answered(exchange: Exchange) -> bool:
    return exchange.backend is not None and exchange.status == 200 and not exchange.grpc_status


@pytest.mark.parametrize("name", CASES)
def test_as_an_allow_policy(mesh: Mesh, name: str) -> None:
    rule, matching, others = CASES[name]
    mesh.replace(TOKENS + policy(with_addresses(mesh, rule)))
    for request in matching:
        exchange = request.send(mesh)
        assert answered(exchange), (request, exchange.status, exchange.decided_by)
        assert [(each.effect, each.name, each.rule) for each in exchange.policies] == [
            ("allowed", "the-rule", 0)
        ]
    for request in others:
        exchange = request.send(mesh)
        assert refused(exchange), (request, exchange.status)
        assert str(exchange.decided_by) == "denied since no AuthorizationPolicy matched"


@pytest.mark.parametrize("name", CASES)
def test_as_a_deny_policy(mesh: Mesh, name: str) -> None:
    rule, matching, others = CASES[name]
    mesh.replace(policy(with_addresses(mesh, rule), "DENY"), TOKENS)
    for request in matching:
        exchange = request.send(mesh)
        assert refused(exchange), (request, exchange.status)
        assert str(exchange.decided_by) == "denied by AuthorizationPolicy shop/the-rule rule 0 (<text>:8)"
    for request in others:
        exchange = request.send(mesh)
        assert answered(exchange), (request, exchange.status, exchange.decided_by)
        assert exchange.decided_by is None
