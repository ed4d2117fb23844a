"""MeshConfig and ProxyConfig as they affect what requests meet; swapped on a live mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.errors import ScenarioError

if TYPE_CHECKING:
    from meshtest import Mesh

pytestmark = pytest.mark.mesh("fixtures/protocols", "fixtures/collector")

ALICE, LEGACY, URL = "shop/alice", "shop/legacy", "http://server.shop/"
ONLY = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: only, namespace: shop}
spec: {rules: [{from: [{source: {principals: ["%s/ns/shop/sa/alice"]}}]}]}
"""
STRICT = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: %s}
spec: {mtls: {mode: STRICT}}
"""
OF_THE_MESH = {"alpn": ("istio",)}


def test_identities_have_the_meshs_trust_domain(mesh: Mesh) -> None:
    mesh.replace(ONLY % "td.example", mesh_config="trustDomain: td.example")
    exchange = mesh.request(ALICE, URL)
    assert (exchange.status, exchange.peer_identity) == (200, "spiffe://td.example/ns/shop/sa/alice")
    mesh.replace(ONLY % "td.example")
    assert mesh.request(ALICE, URL).status == 403


def test_an_alias_stands_for_the_trust_domain_in_policies_and_certificates(mesh: Mesh) -> None:
    config = "{trustDomain: td.example, trustDomainAliases: [old.example]}"
    mesh.replace(ONLY % "old.example", mesh_config=config)
    assert mesh.request(ALICE, URL).status == 200
    mesh.replace(STRICT % "shop", mesh_config=config)
    for domain, outcome in (("old.example", "response"), ("other.example", "handshake-failure")):
        identity = f"spiffe://{domain}/ns/shop/sa/x"
        exchange = mesh.request(LEGACY, "https://server.shop:80/", identity=identity, tls=OF_THE_MESH)
        assert (domain, exchange.outcome) == (domain, outcome)


def test_the_root_namespace_is_what_mesh_config_says(mesh: Mesh) -> None:
    mesh.replace(STRICT % "office", mesh_config="rootNamespace: office")
    exchange = mesh.request(LEGACY, URL)
    assert exchange.outcome == "reset"
    assert "denied by PeerAuthentication office/strict (<text>:5)" in str(exchange.decided_by)
    mesh.replace(STRICT % "office")
    assert mesh.request(LEGACY, URL).status == 200


def test_auto_mtls_can_be_switched_off(mesh: Mesh) -> None:
    mesh.replace(mesh_config="enableAutoMtls: false")
    assert mesh.request(ALICE, URL).peer_identity == ""
    mesh.replace()
    assert mesh.request(ALICE, URL).peer_identity == "spiffe://cluster.local/ns/shop/sa/alice"


def test_runtime_values_reach_envoy(mesh: Mesh) -> None:
    """An Envoy that is told so refuses paths with a fragment; Istio's usual one cuts it off."""
    assert mesh.request(LEGACY, f"{URL}a#b").status == 200
    flag = "envoy.reloadable_features.http_reject_path_with_fragment"
    mesh.replace(mesh_config=f"defaultConfig: {{runtimeValues: {{{flag}: 'true'}}}}")
    assert mesh.request(LEGACY, f"{URL}a#b").status == 400
    mesh.replace()
    assert mesh.request(LEGACY, f"{URL}a#b").status == 200


def test_proxy_metadata_of_a_proxy_config_reaches_istiod(mesh: Mesh) -> None:
    """With ISTIO_META_HTTP10 a sidecar takes HTTP/1.0, which it answers 426 otherwise."""
    assert mesh.request(LEGACY, URL, protocol="http/1.0").status == 426
    mesh.replace("""
apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata: {name: http10, namespace: shop}
spec: {selector: {matchLabels: {app: server}}, environmentVariables: {ISTIO_META_HTTP10: "1"}}
""")
    assert mesh.request(LEGACY, URL, protocol="http/1.0").status == 200


def test_an_application_sees_no_request_id_where_proxies_give_none(mesh: Mesh) -> None:
    assert "x-request-id" in mesh.request(ALICE, URL).backend.request.headers  # type: ignore[union-attr]  # it answered
    mesh.replace(mesh_config="defaultConfig: {proxyHeaders: {requestId: {disabled: true}}}")
    for caller, sides in ((ALICE, ["outbound", "inbound"]), (LEGACY, ["inbound"])):
        exchange = mesh.request(caller, URL)
        assert "x-request-id" not in exchange.backend.request.headers  # type: ignore[union-attr]  # as above
        assert [hop.side for hop in exchange.hops] == sides


def test_a_number_of_worker_threads_changes_no_answer(mesh: Mesh) -> None:
    mesh.replace("""
apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata: {name: threads, namespace: shop}
spec: {concurrency: 0, image: {imageType: distroless}}
""")
    assert mesh.request(ALICE, URL).status == 200


def test_spans_go_to_the_zipkin_of_the_default_config(mesh: Mesh) -> None:
    """As before there was Telemetry: a tracer of the bootstrap."""
    tracing = "{sampling: 100, zipkin: {address: 'collector.tracing.svc.cluster.local:9411'}}"
    mesh.replace(mesh_config=f"{{enableTracing: true, defaultConfig: {{tracing: {tracing}}}}}")
    mesh.begin(1)
    mesh.request(ALICE, URL)
    (exchange,) = mesh.collect(mesh.history).exchanges
    assert sorted(span.kind for span in exchange.spans or ()) == ["client", "server"]
    assert sorted(span.service for span in exchange.spans or ()) == ["alice.shop", "server.shop"]


def test_proxies_are_called_in_spans_as_the_default_config_says(mesh: Mesh) -> None:
    tracing = "{sampling: 100, zipkin: {address: 'collector.tracing.svc.cluster.local:9411'}}"
    default = f"{{tracing: {tracing}, tracingServiceName: CANONICAL_NAME_ONLY}}"
    mesh.replace(mesh_config=f"{{enableTracing: true, defaultConfig: {default}}}")
    mesh.begin(1)
    mesh.request(ALICE, URL)
    (exchange,) = mesh.collect(mesh.history).exchanges
    assert sorted(span.service for span in exchange.spans or ()) == ["alice", "server"]


def test_a_field_that_istio_does_not_know_is_a_mistake(mesh: Mesh) -> None:
    with pytest.raises(ScenarioError, match=r"^meshConfig: .*trustDomian"):
        mesh.replace(mesh_config="trustDomian: td.example")
    assert mesh.request(ALICE, URL).status == 200


def test_without_another_it_is_that_of_istios_config_map(mesh: Mesh) -> None:
    config_map = """
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: "trustDomain: td.example"}
---
"""
    mesh.replace(config_map, ONLY % "td.example")
    assert mesh.request(ALICE, URL).peer_identity == "spiffe://td.example/ns/shop/sa/alice"
    mesh.replace(config_map, mesh_config="trustDomain: other.example")
    assert mesh.request(ALICE, URL).peer_identity == "spiffe://other.example/ns/shop/sa/alice"
    mesh.replace(config_map)
    mesh.delete(config_map)
    assert mesh.request(ALICE, URL).peer_identity == "spiffe://cluster.local/ns/shop/sa/alice"
