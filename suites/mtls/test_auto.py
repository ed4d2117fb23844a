"""mTLS that nobody asks for: what it names, whom it is spoken to, and which DestinationRules have a say in it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop")

CLIENT, IDENTITY = "shop/orders", "spiffe://cluster.local/ns/shop/sa/default"
TO_SUBSETS = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog]
  http:
    - {match: [{uri: {prefix: /v1}}], route: [{destination: {host: catalog, subset: v1}}]}
    - {match: [{uri: {prefix: /v2}}], route: [{destination: {host: catalog, subset: v2}}]}
    - {route: [{destination: {host: catalog}}]}
"""
SUBSETS = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: catalog, namespace: shop}
spec: {host: catalog, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
"""
ONE_IN_PLAINTEXT = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: catalog, namespace: shop}
spec:
  host: catalog
  trafficPolicy: {connectionPool: {http: {maxRequestsPerConnection: 7}}}
  subsets:
    - {name: v1, labels: {version: v1}, trafficPolicy: {tls: {mode: DISABLE}}}
    - {name: v2, labels: {version: v2}, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}
"""
AS_ADDRESSED = """
apiVersion: v1
kind: Service
metadata: {name: books, namespace: shop}
spec: {selector: {app: catalog}, ports: [{name: http, port: 8080}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: books, namespace: shop}
spec: {host: books, trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}}
"""
WITHOUT_SIDECAR = """
apiVersion: v1
kind: Pod
metadata: {name: old, namespace: shop, labels: {app: catalog, sidecar.istio.io/inject: "false"}}
spec: {containers: [{name: catalog, image: catalog, ports: [{containerPort: 8080}]}]}
"""
ELSEWHERE = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: books, namespace: shop}
spec:
  hosts: [books.example.com]
  addresses: [240.1.1.1]
  location: LOCATION
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]
  endpoints: [{address: ADDRESS, labels: {security.istio.io/tlsMode: istio}}]
"""


def shown(one: Exchange) -> tuple[str, str]:
    """The name that the caller's sidecar asked the callee's for, and who it said to be."""
    (inbound,) = [hop for hop in one.hops if hop.side == "inbound"]
    return inbound.raw["sni"], inbound.peer


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://catalog/", "outbound_.80_._.catalog.shop.svc.cluster.local"),
        ("http://catalog:8080/", "outbound_.8080_._.catalog.shop.svc.cluster.local"),
        ("http://catalog-v1/", "outbound_.80_._.catalog-v1.shop.svc.cluster.local"),
        ("http://catalog/v1", "outbound_.80_.v1_.catalog.shop.svc.cluster.local"),
        ("http://catalog:8080/v2", "outbound_.8080_.v2_.catalog.shop.svc.cluster.local"),
        ("grpc://catalog:7070/a.Service/Method", "outbound_.7070_._.catalog.shop.svc.cluster.local"),
        ("tcp://catalog:9000", "outbound_.9000_._.catalog.shop.svc.cluster.local"),
    ],
)
def test_the_callee_is_asked_for_by_port_subset_and_host(mesh: Mesh, url: str, name: str) -> None:
    mesh.apply(SUBSETS, TO_SUBSETS)
    one = mesh.request(CLIENT, url)
    assert one.backend is not None
    assert shown(one) == (name, IDENTITY)


def test_a_rule_has_a_say_where_it_speaks_of_tls(mesh: Mesh) -> None:
    """The subset that does is called in plaintext; the other one and all the rest stay as they were."""
    for policy, of_v1 in ((SUBSETS, IDENTITY), (ONE_IN_PLAINTEXT, "")):
        mesh.apply(policy, TO_SUBSETS)
        found = [mesh.request(CLIENT, f"http://catalog/{path}") for path in ("v1", "v2", "")]
        assert [one.status for one in found] == [200] * 3
        assert [one.peer_identity for one in found] == [of_v1, IDENTITY, IDENTITY]


@pytest.mark.parametrize(("more", "identity"), [("", IDENTITY), (WITHOUT_SIDECAR, "")], ids=["all", "none"])
def test_pods_called_by_their_addresses_are_so_all_or_none(mesh: Mesh, more: str, identity: str) -> None:
    """One pod without sidecar has the others called in plain text too, from when istiod looks at the Service again."""
    if more:
        mesh.apply(more)
    mesh.apply(AS_ADDRESSED)
    (pod,) = mesh.model.pods_of("shop/catalog-v2")
    one = mesh.request(CLIENT, "http://books:8080/", address=pod.ip)
    assert one.backend is not None
    assert (one.backend.workload, one.peer_identity) == ("catalog-v2", identity)


@pytest.mark.parametrize(("location", "identity"), [("MESH_INTERNAL", IDENTITY), ("MESH_EXTERNAL", "")])
def test_what_is_outside_the_mesh_is_called_in_plaintext_whatever_it_says_of_itself(
    mesh: Mesh, location: str, identity: str
) -> None:
    (pod,) = mesh.model.pods_of("shop/catalog-v1")
    mesh.apply(ELSEWHERE.replace("ADDRESS", pod.ip).replace("LOCATION", location))
    one = mesh.request(CLIENT, "http://books.example.com/", address="240.1.1.1")
    assert (one.status, one.peer_identity) == (200, identity)
    assert one.hops[0].cluster == "outbound|80||books.example.com"


def test_certificates_are_good_for_a_day(mesh: Mesh) -> None:
    """As the sidecar itself says of the one that names it; every connection has the same."""
    shown = json.loads(mesh.admin(CLIENT, "/certs"))["certificates"]
    chains = [chain for one in shown for chain in one["cert_chain"]]
    times = {
        tuple(datetime.fromisoformat(chain[name]) for name in ("valid_from", "expiration_time"))
        for chain in chains
        if {"uri": IDENTITY} in chain["subject_alt_names"]
    }
    assert times
    assert all(timedelta(hours=24) <= end - begin <= timedelta(hours=24, minutes=10) for begin, end in times)
