"""EnvoyFilters at work, and what is said of those that Envoy does not take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.errors import ConfigurationRejected, ManifestError

if TYPE_CHECKING:
    from meshtest import Mesh

pytestmark = pytest.mark.mesh("fixtures/protocols")

ALICE, URL = "shop/alice", "http://server.shop/"
HEAD = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: %(name)s, namespace: %(namespace)s}
spec:
  %(selector)s
  configPatches:
"""
AT_SERVER = "workloadSelector: {labels: {app: server}}"
HTTP_FILTER = """
  - applyTo: HTTP_FILTER
    match:
      context: SIDECAR_INBOUND
      listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager}}}
    patch: {operation: INSERT_BEFORE, value: %s}
"""
TYPE = '"@type": type.googleapis.com/envoy.extensions.filters.http.'
LUA = "{name: own.lua, typed_config: {" + TYPE + "lua.v3.Lua, default_source_code: {inline_string: '%s'}}}"
ADD = 'function envoy_on_request(h) h:headers():add("x-lua", "yes") end'
LIMIT = (
    "{name: own.limit, typed_config: {" + TYPE + "local_ratelimit.v3.LocalRateLimit, stat_prefix: own, "
    "token_bucket: {max_tokens: 2, tokens_per_fill: 2, fill_interval: 3600s}, "
    "filter_enabled: {default_value: {numerator: 100}}, filter_enforced: {default_value: {numerator: 100}}}}"
)
ROUTE = """
  - applyTo: VIRTUAL_HOST
    match: {context: SIDECAR_OUTBOUND, routeConfiguration: {vhost: {name: "server.shop.svc.cluster.local:80"}}}
    patch: {operation: MERGE, value: {request_headers_to_add: [{header: {key: x-vhost, value: "yes"}}]}}
"""


def envoy_filter(patches: str, name: str = "own", namespace: str = "shop", selector: str = AT_SERVER) -> str:
    return HEAD % {"name": name, "namespace": namespace, "selector": selector} + patches


def header(mesh: Mesh, name: str, caller: str = ALICE) -> list[str]:
    exchange = mesh.request(caller, URL)
    assert exchange.backend is not None, exchange.status
    return list(exchange.backend.request.headers.get(name, []))


def test_a_filter_at_the_callee(mesh: Mesh) -> None:
    assert header(mesh, "x-lua") == []
    mesh.replace(envoy_filter(HTTP_FILTER % (LUA % ADD)))
    assert header(mesh, "x-lua") == ["yes"]
    mesh.replace()
    assert header(mesh, "x-lua") == []


def test_a_rate_limit_of_its_own(mesh: Mesh) -> None:
    mesh.replace(envoy_filter(HTTP_FILTER % LIMIT))
    assert [mesh.request(ALICE, URL).status for _ in range(4)] == [200, 200, 429, 429]


def test_a_patch_of_routes_for_the_callers_of_a_namespace(mesh: Mesh) -> None:
    mesh.replace(envoy_filter(ROUTE, selector=""))
    assert header(mesh, "x-vhost") == ["yes"]
    assert header(mesh, "x-vhost", "office/bob") == []
    mesh.replace(envoy_filter(ROUTE, namespace="istio-system", selector=""))
    assert header(mesh, "x-vhost", "office/bob") == ["yes"]


def test_what_envoy_refuses_is_told_of_the_filter_and_leaves_the_mesh_as_it_was(mesh: Mesh) -> None:
    mesh.replace(envoy_filter(HTTP_FILTER % (LUA % ADD), "good"))
    with pytest.raises(ConfigurationRejected) as caught:
        mesh.apply(envoy_filter(HTTP_FILTER % (LUA % "funtion f() end"), "bad"))
    text = str(caught.value)
    assert text.startswith(
        "<text>:2: EnvoyFilter shop/bad makes a configuration that Envoy refuses: shop/server-0 "
    )
    assert "script load error" in text
    assert header(mesh, "x-lua") == ["yes"]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("type.googleapis.com/stats.PluginConfig", "stats.PluginConfig is a filter of Istio's own Envoy"),
        ("type.googleapis.com/no.such.Type", "could not resolve Any message type"),
    ],
    ids=["istios-own", "unknown"],
)
def test_what_nobody_here_can_do_is_refused_before(mesh: Mesh, kind: str, words: str) -> None:
    value = f'{{name: own, typed_config: {{"@type": {kind}}}}}'
    with pytest.raises(ManifestError, match=rf"^<text>:\d+: .*{words}"):
        mesh.replace(envoy_filter(HTTP_FILTER % value))
