"""What MeshConfig says for all of the mesh, where no policy says otherwise; each with the mesh that says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest import faults
from suites.endpoints import wait_until_ejected
from suites.sockets import established

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop")

NEAR, FAR, URL = "shop/orders", "front/web", "http://catalog-v1.shop/"
HOST = "catalog-v1.shop.svc.cluster.local"
IMPATIENT = "connectTimeout: 300ms"
KEPT_ALIVE = "tcpKeepalive: {time: 600s, interval: 7s, probes: 3}"
UPGRADED = "h2UpgradePolicy: UPGRADE"
RETRIED = "defaultHttpRetryPolicy: {attempts: 3, retryOn: 5xx, backoff: 1ms}"
TRIED_BRIEFLY = "defaultHttpRetryPolicy: {attempts: 1, retryOn: 5xx, perTryTimeout: 200ms, backoff: 1ms}"
ANYWHERE_ELSE = """
defaultHttpRetryPolicy:
  {attempts: 1, retryOn: 5xx, backoff: 1ms, retryIgnorePreviousHosts: true, retryRemoteLocalities: true}
"""
SERVICES = 'defaultServiceExportTo: ["."]'
ROUTES = 'defaultVirtualServiceExportTo: ["."]'
RULES = 'defaultDestinationRuleExportTo: ["."]'
BY_LOCALHOST = "inboundTrafficPolicy: {mode: LOCALHOST}"
SELECTED = "discoverySelectors: [{matchLabels: {team: books}}]"
SELECTED_TOO = "discoverySelectors: [{matchExpressions: [{key: team, operator: In, values: [books]}]}]"
WRITTEN = 'accessLogFile: /dev/stdout\naccessLogFormat: "own %REQ(X-REQUEST-ID)% %RESPONSE_CODE%\\n"\n'
POOLED = "defaultTrafficPolicy: {connectionPool: {http: {maxRequestsPerConnection: 3}}}"
EJECTED = "defaultTrafficPolicy: {outlierDetection: {consecutive5xxErrors: 3, maxEjectionPercent: 100}}"
TEAPOT = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec: {hosts: [catalog-v1.shop.svc.cluster.local], http: [{directResponse: {status: 299}}]}
"""
PLAIN = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: catalog, namespace: shop}
spec: {host: catalog-v1.shop.svc.cluster.local, trafficPolicy: {tls: {mode: DISABLE}}}
"""
OF_BOOKS = """
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: books}}
"""


def cluster(one: Exchange) -> str:
    return one.hops[0].cluster


def test_connecting_takes_no_longer(mesh: Mesh) -> None:
    with mesh.inject(faults.partition(to="shop/catalog-v1")):
        assert mesh.request(NEAR, URL, timeout=2).outcome == "timeout"
        mesh.replace(mesh_config=IMPATIENT)
        one = mesh.request(NEAR, URL)
    assert one.status == 503
    assert "UF" in one.hops[0].flags


def test_the_kernel_keeps_connections_alive(mesh: Mesh) -> None:
    def asks_after() -> float | None:
        port = mesh.request(NEAR, URL).hops[0].raw["upstream_local"].rpartition(":")[2]
        (found,) = established(mesh, NEAR, int(port))
        return found.keepalive

    assert asks_after() is None
    mesh.replace(mesh_config=KEPT_ALIVE)
    assert 500 < (asks_after() or 0) <= 600


def test_http2_between_sidecars(mesh: Mesh) -> None:
    def spoken() -> list[str]:
        return [hop.raw["protocol"] for hop in mesh.request(NEAR, URL).hops if hop.side == "inbound"]

    assert spoken() == ["HTTP/1.1"]
    mesh.replace(mesh_config=UPGRADED)
    assert spoken() == ["HTTP/2"]


def test_how_often_it_is_tried(mesh: Mesh) -> None:
    assert mesh.request(NEAR, f"{URL}status/503").attempts == 1
    mesh.replace(mesh_config=RETRIED)
    assert mesh.request(NEAR, f"{URL}status/503").attempts == 4
    mesh.replace(mesh_config=TRIED_BRIEFLY)
    one = mesh.request(NEAR, f"{URL}?delay=5s")
    assert (one.status, one.attempts) == (504, 2)


def test_another_pod_is_asked(mesh: Mesh) -> None:
    mesh.replace(mesh_config=ANYWHERE_ELSE)
    with mesh.inject(faults.abort(to="catalog-v1", http_status=503)):
        found = mesh.send(NEAR, "http://catalog.shop/", requests=40, concurrency=1).exchanges
    assert sum(one.status == 200 for one in found) > 35
    assert {one.attempts for one in found} == {1, 2}


def test_services_are_known_where_they_are(mesh: Mesh) -> None:
    assert cluster(mesh.request(FAR, URL)) == f"outbound|80||{HOST}"
    mesh.replace(mesh_config=SERVICES)
    assert cluster(mesh.request(NEAR, URL)) == f"outbound|80||{HOST}"
    assert cluster(mesh.request(FAR, URL)) == "PassthroughCluster"


def test_routes_hold_where_they_are(mesh: Mesh) -> None:
    mesh.replace(TEAPOT)
    assert (mesh.request(NEAR, URL).status, mesh.request(FAR, URL).status) == (299, 299)
    mesh.replace(TEAPOT, mesh_config=ROUTES)
    assert (mesh.request(NEAR, URL).status, mesh.request(FAR, URL).status) == (299, 200)


def test_rules_hold_where_they_are(mesh: Mesh) -> None:
    mesh.replace(PLAIN)
    assert [bool(mesh.request(who, URL).peer_identity) for who in (NEAR, FAR)] == [False, False]
    mesh.replace(PLAIN, mesh_config=RULES)
    assert [bool(mesh.request(who, URL).peer_identity) for who in (NEAR, FAR)] == [False, True]


def test_applications_are_called_at_localhost(mesh: Mesh) -> None:
    def called() -> list[str]:
        return [hop.upstream for hop in mesh.request(NEAR, URL).hops if hop.side == "inbound"]

    assert called() == [f"{mesh.model.pods_of('shop/catalog-v1')[0].ip}:8080"]
    mesh.replace(mesh_config=BY_LOCALHOST)
    assert called() == ["127.0.0.1:8080"]


def test_namespaces_are_selected_by_labels(mesh: Mesh) -> None:
    mesh.replace(mesh_config=SELECTED)
    assert cluster(mesh.request(FAR, URL)) == "PassthroughCluster"
    mesh.replace(OF_BOOKS, mesh_config=SELECTED)
    assert cluster(mesh.request(FAR, URL)) == f"outbound|80||{HOST}"
    mesh.replace(mesh_config=SELECTED_TOO)
    assert cluster(mesh.request(FAR, URL)) == "PassthroughCluster"
    mesh.replace(OF_BOOKS, mesh_config=SELECTED_TOO)
    assert cluster(mesh.request(FAR, URL)) == f"outbound|80||{HOST}"


def test_lines_in_a_format_of_ones_own(mesh: Mesh) -> None:
    mesh.replace(mesh_config=WRITTEN)
    (one,) = mesh.collect(mesh.send(NEAR, URL, requests=1)).exchanges
    lines = {line.text for line in one.access_log or ()}
    assert len(lines) == 1
    assert lines.pop().startswith("own ")


def test_a_policy_for_every_host(mesh: Mesh) -> None:
    def connections() -> int:
        found = mesh.send(NEAR, URL, requests=9, concurrency=1).exchanges
        return len({one.hops[0].raw["upstream_local"] for one in found})

    assert connections() == 1
    mesh.replace(mesh_config=POOLED)
    assert connections() == 3
    mesh.replace(mesh_config=EJECTED)

    def answered() -> list[int | None]:
        return [
            one.status for one in mesh.send(NEAR, f"{URL}status/500", requests=3, concurrency=1).exchanges
        ]

    assert answered() == [500] * 3
    wait_until_ejected(mesh, NEAR, "catalog-v1")
    assert answered() == [503] * 3
