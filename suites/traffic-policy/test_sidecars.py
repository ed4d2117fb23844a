"""Listeners that a Sidecar says a pod has: at which addresses and ports, taken over or not; and the way out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from suites.sockets import listening

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop")

CLIENT = "shop/orders"
ONE_PORT = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: orders, namespace: shop}
spec:
  workloadSelector: {labels: {app: orders}}
  egress: [{port: {number: 80, protocol: HTTP, name: http}, hosts: ["./*"]}]
"""
BY_ITSELF = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: orders, namespace: shop}
spec:
  workloadSelector: {labels: {app: orders}}
  egress:
    - port: {number: 8080, protocol: HTTP, name: out}
      bind: 127.0.0.1
      captureMode: NONE
      hosts: ["./*"]
"""
AT_AN_ADDRESS = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: orders, namespace: shop}
spec:
  workloadSelector: {labels: {app: orders}}
  egress:
    - port: {number: 8080, protocol: HTTP, name: out}
      bind: 240.9.9.9
      captureMode: IPTABLES
      hosts: [./catalog-v2.shop.svc.cluster.local]
    - hosts: ["*/*"]
"""
INTO_ITSELF = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: receiver, namespace: shop}
spec:
  workloadSelector: {labels: {app: receiver}}
  ingress:
    - port: {number: 9090, protocol: HTTP, name: in}
      bind: BIND
      captureMode: NONE
      defaultEndpoint: 127.0.0.1:8080
"""
RECEIVER = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: receiver, namespace: shop}
spec:
  selector: {matchLabels: {app: receiver}}
  template:
    metadata:
      labels: {app: receiver}
      annotations: {traffic.sidecar.istio.io/excludeInboundPorts: "9090"}
    spec: {containers: [{name: receiver, image: receiver, ports: [{containerPort: 8080}]}]}
"""
OUT_BY_PROXY = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: orders, namespace: shop}
spec:
  workloadSelector: {labels: {app: orders}}
  outboundTrafficPolicy:
    mode: ALLOW_ANY
    egressProxy: {host: catalog.shop.svc.cluster.local, subset: v2, port: {number: 80}}
"""
SUBSETS = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: catalog, namespace: shop}
spec: {host: catalog.shop.svc.cluster.local, subsets: [{name: v2, labels: {version: v2}}]}
"""


def cluster(one: Exchange) -> str:
    return one.hops[0].cluster


def test_egress_of_one_port(mesh: Mesh) -> None:
    for expected in ("outbound|8080||catalog.shop.svc.cluster.local", "PassthroughCluster"):
        assert cluster(mesh.request(CLIENT, "http://catalog/")).startswith("outbound|80||catalog.")
        assert cluster(mesh.request(CLIENT, "http://catalog:8080/")) == expected
        mesh.apply(ONE_PORT)


def test_egress_that_the_application_connects_to(mesh: Mesh) -> None:
    asked: dict[str, Any] = {"address": "127.0.0.1", "port": 8080}
    assert mesh.request(CLIENT, "http://catalog:8080/", **asked).outcome == "refused"
    mesh.apply(BY_ITSELF)
    one = mesh.request(CLIENT, "http://catalog:8080/", **asked)
    assert one.status == 200
    assert one.peer_identity == "spiffe://cluster.local/ns/shop/sa/default"


def test_egress_at_an_address(mesh: Mesh) -> None:
    """There are the hosts that it names, and no others; the address is nobody's."""
    asked: dict[str, Any] = {"address": "240.9.9.9", "timeout": 3}
    for statuses in ((200, 200), (503, 200)):
        first, second = (mesh.request(CLIENT, f"http://catalog-v{n}:8080/", **asked) for n in (1, 2))
        assert (first.status, second.status) == statuses
        assert cluster(second) == "outbound|8080||catalog-v2.shop.svc.cluster.local"
        mesh.apply(AT_AN_ADDRESS)
    assert cluster(first) == "PassthroughCluster"


@pytest.mark.parametrize(("bind", "status"), [("0.0.0.0", 200), ("127.0.0.1", None)])  # noqa: S104 - a case
def test_ingress_that_is_connected_to(mesh: Mesh, bind: str, status: int | None) -> None:
    """Nothing else listens there, and no rule of the pod leads there."""
    mesh.apply(RECEIVER, INTO_ITSELF.replace("BIND", bind))
    address = mesh.model.pods_of("shop/receiver")[0].ip
    one = mesh.request(CLIENT, "http://receiver:9090", address=address)
    assert one.status == status
    assert f"{bind}:9090" in listening(mesh, "shop/receiver")


def test_what_nobody_knows_goes_to_the_proxy(mesh: Mesh) -> None:
    """At ports where the mesh serves nobody: routes of the others are shared with pods that have no such proxy."""
    asked: dict[str, Any] = {"address": mesh.model.pods_of("stock/depot")[0].ip, "port": 8085}
    assert cluster(mesh.request(CLIENT, "http://stranger.example/", **asked)) == "PassthroughCluster"
    mesh.apply(OUT_BY_PROXY, SUBSETS)
    one = mesh.request(CLIENT, "http://stranger.example/", **asked)
    assert one.backend is not None
    assert (cluster(one), one.backend.workload) == (
        "outbound|80|v2|catalog.shop.svc.cluster.local",
        "catalog-v2",
    )
