"""Where an Envoy answers for itself: 15021 says that it is ready, 15090 what it has counted, whoever asks.

As with Istio's bootstrap: nothing is redirected away from there, and what a sidecar's own application sends to these
ports of another pod is answered by its own sidecar, which listens there for every address.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop")

SCRAPER = """
apiVersion: v1
kind: Namespace
metadata: {name: monitoring, labels: {istio-injection: disabled}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: scraper, namespace: monitoring}
spec:
  selector: {matchLabels: {app: scraper}}
  template:
    metadata: {labels: {app: scraper}}
    spec: {containers: [{name: scraper, image: scraper}]}
"""
LOCKED = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: nobody, namespace: istio-system}
spec: {}
"""
GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
"""
HIDDEN = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: shy, namespace: shop}
spec:
  selector: {matchLabels: {app: shy}}
  template:
    metadata:
      labels: {app: shy}
      annotations: {proxy.istio.io/config: '{proxyMetadata: {METRICS_LOCALHOST_ACCESS_ONLY: "true"}}'}
    spec: {containers: [{name: shy, image: shy, ports: [{containerPort: 8080}]}]}
"""
SAME_PORTS = """
apiVersion: v1
kind: Service
metadata: {name: busy, namespace: shop}
spec:
  selector: {app: catalog}
  ports:
    - {name: http-status, port: 15021, targetPort: 8080}
    - {name: http-prom, port: 15090, targetPort: 8080}
    - {name: http, port: 8085, targetPort: 8080}
"""
NAKED = "monitoring/scraper"


def at(mesh: Mesh, pod: str, path: str, port: int = 15090) -> str:
    (found,) = (one for one in mesh.pods if one.key == pod)
    return f"http://{found.ip}:{port}{path}"


def counted(mesh: Mesh, pod: str, name: str, *, caller: str = NAKED) -> int:
    """What a Prometheus would read of a counter, whose name this expression matches."""
    one = mesh.request(caller, at(mesh, pod, f"/stats/prometheus?usedonly&filter={name}"))
    assert one.status == 200, one
    assert one.headers["content-type"].startswith("text/plain")
    return sum(int(value) for value in re.findall(r"^[a-z]\S+ (\d+)$", one.body.decode(), re.MULTILINE))


INBOUND = "inbound_0.0.0.0_8080.*downstream_rq_total"
OUTBOUND = "cluster.outbound.*depot.*upstream_rq_total"


@pytest.fixture
def scraped(mesh: Mesh) -> Mesh:
    """The mesh, with a pod without sidecar that asks."""
    mesh.apply(SCRAPER)
    return mesh


def test_a_pod_without_sidecar_reads_what_any_envoy_counts(scraped: Mesh) -> None:
    before = counted(scraped, "stock/depot-0", INBOUND), counted(scraped, "shop/orders-0", OUTBOUND)
    history = scraped.send("shop/orders", "http://depot.stock/", requests=7)
    assert {one.status for one in history.exchanges} == {200}
    after = counted(scraped, "stock/depot-0", INBOUND), counted(scraped, "shop/orders-0", OUTBOUND)
    assert after == (before[0] + 7, before[1] + 7)


def test_a_gateway_has_them_too(scraped: Mesh) -> None:
    scraped.apply(GATEWAY)
    (gateway,) = (pod.key for pod in scraped.pods if pod.workload == "istio-ingressgateway")
    before = counted(scraped, gateway, "outbound_0.0.0.0_8080.*downstream_rq_total")
    assert scraped.request("outside", "http://shop.example.com/", address="gateway").status == 404
    assert counted(scraped, gateway, "outbound_0.0.0.0_8080.*downstream_rq_total") == before + 1
    assert scraped.request(NAKED, at(scraped, gateway, "/healthz/ready", 15021)).status == 200


def test_no_policy_holds_there(scraped: Mesh) -> None:
    scraped.apply(LOCKED)
    assert scraped.request("shop/orders", "http://depot.stock/").status == 403
    assert scraped.request(NAKED, at(scraped, "stock/depot-0", "/", 8080)).outcome.value == "reset"
    assert scraped.request(NAKED, at(scraped, "stock/depot-0", "/stats/prometheus")).status == 200
    assert scraped.request(NAKED, at(scraped, "stock/depot-0", "/healthz/ready", 15021)).status == 200


@pytest.mark.parametrize(
    "path", ["/", "/stats", "/config_dump", "/quitquitquit", "/stats/prometheus/../../quitquitquit"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nothing_else_of_the_admin_interface_is_there(scraped: Mesh, method: str, path: str) -> None:
    for port in (15021, 15090):
        one = scraped.request(NAKED, at(scraped, "stock/depot-0", path, port), method=method)
        assert (one.status, one.body) == (404, b"")
    assert scraped.request("shop/orders", "http://depot.stock/").status == 200


def test_a_sidecar_answers_its_own_application_whomever_it_asks(scraped: Mesh) -> None:
    def told() -> tuple[int, int]:
        by_itself = counted(scraped, "stock/depot-0", OUTBOUND, caller="shop/orders")
        return by_itself, counted(scraped, "stock/depot-0", OUTBOUND)

    orders, depot = told()
    history = scraped.send("shop/orders", "http://depot.stock/", requests=3)
    assert {one.status for one in history.exchanges} == {200}
    assert told() == (orders + 3, depot)
    one = scraped.request("shop/orders", at(scraped, "stock/depot-0", "/stats/prometheus"))
    assert (one.hops, one.complete) == ((), True)


@pytest.mark.parametrize("caller", [NAKED, "shop/orders"])
@pytest.mark.parametrize(
    ("port", "path", "status"),
    [(15090, "/stats/prometheus", 200), (15090, "/", 404), (15021, "/healthz/ready", 200), (15021, "/", 404)],
)
def test_who_answers_is_foretold(scraped: Mesh, caller: str, port: int, path: str, status: int) -> None:
    url = at(scraped, "stock/depot-0", path, port)
    (way,) = scraped.explain(caller, url).ways
    answering = "stock/depot-0" if caller == NAKED else "shop/orders-0"
    assert (way.status, way.answered_by, way.crossings) == (status, answering, ())
    assert scraped.request(caller, url).status == status


def test_a_proxy_may_tell_its_own_pod_only(scraped: Mesh) -> None:
    scraped.apply(HIDDEN)
    url = at(scraped, "shop/shy-0", "/stats/prometheus")
    assert scraped.request(NAKED, url).outcome.value == "refused"
    assert scraped.explain(NAKED, url).ways[0].outcome.value == "refused"
    assert scraped.request("shop/shy", "http://127.0.0.1:15090/stats/prometheus").status == 200
    assert scraped.request(NAKED, at(scraped, "shop/shy-0", "/healthz/ready", 15021)).status == 200


def test_a_service_of_the_same_ports_harms_nobody(scraped: Mesh) -> None:
    """istiod makes no listeners that would be in the way (pilot/pkg/model/context.go)."""
    scraped.apply(SAME_PORTS)
    assert scraped.request("shop/orders", "http://busy:8085/").status == 200
    assert scraped.request(NAKED, "http://busy.shop:15090/").status == 200
    assert scraped.request(NAKED, at(scraped, "shop/orders-0", "/stats/prometheus")).status == 200
