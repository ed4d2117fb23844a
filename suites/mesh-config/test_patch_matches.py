"""What an EnvoyFilter's match picks out of a proxy's configuration: each has a twin that picks out nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh

pytestmark = pytest.mark.mesh("fixtures/protocols")

ALICE, LEGACY, URL = "shop/alice", "shop/legacy", "http://server.shop/"
OUT = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: own, namespace: shop}
spec:
  workloadSelector: {labels: {app: alice}}
  configPatches:
    - applyTo: HTTP_FILTER
      match: {context: SIDECAR_OUTBOUND, MATCH}
      patch:
        operation: INSERT_BEFORE
        value:
          name: own.lua
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
            default_source_code:
              inline_string: function envoy_on_request(h) h:headers():add("x-own", "yes") end
"""
IN = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: own, namespace: shop}
spec:
  workloadSelector: {labels: {app: server}}
  configPatches:
    - applyTo: HTTP_FILTER
      match: {context: SIDECAR_INBOUND, MATCH}
      patch:
        operation: INSERT_BEFORE
        value:
          name: own.lua
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
            default_source_code:
              inline_string: function envoy_on_request(h) h:headers():add("x-own", "yes") end
"""
ROUTE = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: own, namespace: shop}
spec:
  workloadSelector: {labels: {app: alice}}
  configPatches:
    - applyTo: HTTP_ROUTE
      match: {context: SIDECAR_OUTBOUND, MATCH}
      patch: {operation: MERGE, value: {request_headers_to_add: [{header: {key: x-own, value: "yes"}}]}}
"""
NAMED = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: server, namespace: shop}
spec:
  hosts: [server.shop.svc.cluster.local]
  http: [{name: chosen, route: [{destination: {host: server.shop.svc.cluster.local}}]}]
"""
GONE = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: own, namespace: shop}
spec:
  workloadSelector: {labels: {app: alice}}
  configPatches:
    - applyTo: CLUSTER
      match: {context: SIDECAR_OUTBOUND, MATCH}
      patch: {operation: REMOVE}
"""
SUBSET = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: server, namespace: shop}
spec: {host: server.shop.svc.cluster.local, subsets: [{name: all, labels: {app: server}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: server, namespace: shop}
spec:
  hosts: [server.shop.svc.cluster.local]
  http: [{route: [{destination: {host: server.shop.svc.cluster.local, subset: all}}]}]
"""
NOT_INSPECTED = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: own, namespace: shop}
spec:
  workloadSelector: {labels: {app: server}}
  configPatches:
    - applyTo: LISTENER_FILTER
      match: {context: SIDECAR_INBOUND, listener: {name: virtualInbound, listenerFilter: INSPECTOR}}
      patch: {operation: REMOVE}
"""


def marks(one: Exchange) -> list[str]:
    """What the patch adds."""
    assert one.backend is not None, one
    return [word for value in one.backend.request.headers.get("x-own", ()) for word in value.split(",")]


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (OUT.replace("MATCH", "listener: {name: 0.0.0.0_80}"), OUT.replace("MATCH", "listener: {name: 0.0.0.0_81}")),
        (OUT.replace("MATCH", "listener: {portNumber: 80}"), OUT.replace("MATCH", "listener: {portNumber: 81}")),
        (
            OUT.replace(
                "MATCH", "listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager}}}"
            ),
            OUT.replace("MATCH", "listener: {filterChain: {filter: {name: envoy.filters.network.tcp_proxy}}}"),
        ),
        (
            OUT.replace(
                "MATCH",
                "listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager,"
                " subFilter: {name: envoy.filters.http.router}}}}",
            ),
            OUT.replace(
                "MATCH",
                "listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager,"
                " subFilter: {name: envoy.filters.http.lua}}}}",
            ),
        ),
        (
            OUT.replace("MATCH", 'proxy: {proxyVersion: "^1[.].*"}'),
            OUT.replace("MATCH", 'proxy: {proxyVersion: "^0[.].*"}'),
        ),
        (
            OUT.replace("MATCH", "proxy: {metadata: {CLUSTER_ID: Kubernetes}}"),
            OUT.replace("MATCH", "proxy: {metadata: {CLUSTER_ID: else}}"),
        ),
        (
            ROUTE.replace("MATCH", 'routeConfiguration: {name: "80"}'),
            ROUTE.replace("MATCH", 'routeConfiguration: {name: "81"}'),
        ),
        (
            ROUTE.replace("MATCH", "routeConfiguration: {portNumber: 80}"),
            ROUTE.replace("MATCH", "routeConfiguration: {portNumber: 81}"),
        ),
        (
            ROUTE.replace("MATCH", 'routeConfiguration: {vhost: {name: "server.shop.svc.cluster.local:80"}}'),
            ROUTE.replace("MATCH", 'routeConfiguration: {vhost: {name: "server.shop.svc.cluster.local:81"}}'),
        ),
        (
            ROUTE.replace("MATCH", "routeConfiguration: {vhost: {domainName: server.shop}}"),
            ROUTE.replace("MATCH", "routeConfiguration: {vhost: {domainName: server.office}}"),
        ),
        (
            ROUTE.replace("MATCH", "routeConfiguration: {vhost: {route: {name: chosen}}}"),
            ROUTE.replace("MATCH", "routeConfiguration: {vhost: {route: {name: else}}}"),
        ),
        (
            ROUTE.replace("MATCH", "routeConfiguration: {vhost: {route: {action: ROUTE}}}"),
            ROUTE.replace("MATCH", "routeConfiguration: {vhost: {route: {action: REDIRECT}}}"),
        ),
    ],
)  # fmt: skip
def test_at_the_caller(mesh: Mesh, good: str, bad: str) -> None:
    for policy, expected in ((good, ["yes"]), (bad, [])):
        mesh.replace(NAMED, policy)
        assert marks(mesh.request(ALICE, URL)) == expected


@pytest.mark.parametrize(
    ("policy", "meshed", "plain"),
    [
        (IN.replace("MATCH", "listener: {filterChain: {transportProtocol: tls}}"), ["yes"], []),
        (IN.replace("MATCH", "listener: {filterChain: {transportProtocol: raw_buffer}}"), [], ["yes"]),
        (IN.replace("MATCH", "listener: {filterChain: {destinationPort: 8080}}"), ["yes"], ["yes"]),
        (IN.replace("MATCH", "listener: {filterChain: {destinationPort: 8081}}"), [], []),
        (IN.replace("MATCH", "listener: {filterChain: {name: 0.0.0.0_8080}}"), ["yes"], ["yes"]),
        (IN.replace("MATCH", "listener: {filterChain: {applicationProtocols: istio}}"), ["yes"], []),
        (IN.replace("MATCH", "listener: {filterChain: {name: 0.0.0.0_8081}}"), [], []),
    ],
)
def test_at_the_callee(mesh: Mesh, policy: str, meshed: list[str], plain: list[str]) -> None:
    mesh.replace(policy)
    assert marks(mesh.request(ALICE, URL)) == meshed
    assert marks(mesh.request(LEGACY, URL)) == plain


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (
            GONE.replace("MATCH", "cluster: {service: server.shop.svc.cluster.local}"),
            GONE.replace("MATCH", "cluster: {service: alice.shop.svc.cluster.local}"),
        ),
        (
            GONE.replace("MATCH", "cluster: {service: server.shop.svc.cluster.local, portNumber: 80}"),
            GONE.replace("MATCH", "cluster: {service: server.shop.svc.cluster.local, portNumber: 81}"),
        ),
        (
            GONE.replace("MATCH", "cluster: {service: server.shop.svc.cluster.local, subset: all}"),
            GONE.replace("MATCH", "cluster: {service: server.shop.svc.cluster.local, subset: none}"),
        ),
        (
            GONE.replace("MATCH", 'cluster: {name: "outbound|80|all|server.shop.svc.cluster.local"}'),
            GONE.replace("MATCH", 'cluster: {name: "outbound|80||server.shop.svc.cluster.local"}'),
        ),
    ],
    ids=["service", "port", "subset", "name"],
)
def test_clusters(mesh: Mesh, good: str, bad: str) -> None:
    for policy, status, flags in ((good, 503, "NC"), (bad, 200, "")):
        mesh.replace(SUBSET, policy)
        one = mesh.request(ALICE, URL)
        assert (one.status, one.hops[0].flags) == (status, flags)


def test_listener_filters(mesh: Mesh) -> None:
    """Without the inspector of TLS what comes inside mTLS is nothing that a sidecar understands."""
    for name, status in (
        ("envoy.filters.listener.nothing", 200),
        ("envoy.filters.listener.tls_inspector", 503),
    ):
        mesh.replace(NOT_INSPECTED.replace("INSPECTOR", name))
        assert mesh.request(ALICE, URL).status == status


FIRST = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: first, namespace: shop}
spec:
  priority: -5
  workloadSelector: {labels: {app: server}}
  configPatches:
    - applyTo: HTTP_FILTER
      match:
        context: SIDECAR_INBOUND
        listener:
          filterChain:
            filter: {name: envoy.filters.network.http_connection_manager, subFilter: {name: envoy.filters.http.router}}
      patch:
        operation: INSERT_BEFORE
        value:
          name: own.first
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
            default_source_code:
              inline_string: function envoy_on_request(h) h:headers():add("x-own", "first") end
"""


def test_the_order_of_several(mesh: Mesh) -> None:
    """Of less priority is applied first; each puts its script right before the router."""
    second = FIRST.replace("first", "second")
    mesh.replace(FIRST, second.replace("-5", "5"))
    assert marks(mesh.request(ALICE, URL)) == ["first", "second"]
    mesh.replace(FIRST, second.replace("-5", "-6"))
    assert marks(mesh.request(ALICE, URL)) == ["second", "first"]
