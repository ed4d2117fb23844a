"""Requests that stay with one pod: by which of their properties, in rings and tables of which size, and at which place.

A Service of two pods and four HTTP ports has another hash at each of them; below it, so have four subsets of all pods.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop")

CLIENT, BOTH = "shop/orders", {"catalog-v1", "catalog-v2"}
PORTS = {"header": 80, "query": 8080, "cookie": 8081, "address": 8082}
BY_PORT = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: catalog, namespace: shop}
spec:
  host: catalog
  trafficPolicy:
    loadBalancer: {consistentHash: {httpHeaderName: x-user, ringHash: {minimumRingSize: 2048}}}
    portLevelSettings:
      - port: {number: 8080}
        loadBalancer: {consistentHash: {httpQueryParameterName: user, maglev: {tableSize: 1009}}}
      - port: {number: 8081}
        loadBalancer:
          consistentHash:
            httpCookie: {name: cart, path: /books, ttl: 60s, attributes: [{name: SameSite, value: Strict}]}
            minimumRingSize: 512
      - port: {number: 8082}
        loadBalancer: {consistentHash: {useSourceIp: true, ringHash: {minimumRingSize: 128}}}
"""
BY_PORT_TOO = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: catalog, namespace: shop}
spec:
  host: catalog
  trafficPolicy:
    loadBalancer: {simple: ROUND_ROBIN}
    portLevelSettings:
      - port: {number: 80}
        loadBalancer: {consistentHash: {httpHeaderName: x-user, ringHash: {minimumRingSize: 2048}}}
"""
BY_SUBSET = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: catalog, namespace: shop}
spec:
  host: catalog
  subsets:
    - name: header
      labels: {app: catalog}
      trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user, ringHash: {minimumRingSize: 2048}}}}
    - name: query
      labels: {app: catalog}
      trafficPolicy: {loadBalancer: {consistentHash: {httpQueryParameterName: user, maglev: {tableSize: 1009}}}}
    - name: cookie
      labels: {app: catalog}
      trafficPolicy:
        loadBalancer:
          consistentHash:
            httpCookie: {name: cart, path: /books, ttl: 60s, attributes: [{name: SameSite, value: Strict}]}
            minimumRingSize: 512
    - name: address
      labels: {app: catalog}
      trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true, ringHash: {minimumRingSize: 128}}}}
"""
BY_PORT_OF_SUBSET = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: catalog, namespace: shop}
spec:
  host: catalog
  subsets:
    - name: all
      labels: {app: catalog}
      trafficPolicy:
        portLevelSettings:
          - port: {number: 80}
            loadBalancer: {consistentHash: {httpHeaderName: x-user, ringHash: {minimumRingSize: 2048}}}
          - port: {number: 8080}
            loadBalancer: {consistentHash: {httpQueryParameterName: user, maglev: {tableSize: 1009}}}
          - port: {number: 8081}
            loadBalancer:
              consistentHash:
                httpCookie: {name: cart, path: /books, ttl: 60s, attributes: [{name: SameSite, value: Strict}]}
                minimumRingSize: 512
          - port: {number: 8082}
            loadBalancer: {consistentHash: {useSourceIp: true, ringHash: {minimumRingSize: 128}}}
"""
FOR_EVERY_PORT = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: catalog-v1, namespace: shop}
spec:
  host: catalog
  trafficPolicy:
    loadBalancer:
      consistentHash:
        httpCookie: {name: cart, path: /books, ttl: 60s, attributes: [{name: SameSite, value: Strict}]}
        minimumRingSize: 512
"""
MAGLEV = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: catalog, namespace: shop}
spec:
  host: catalog
  trafficPolicy: {loadBalancer: {consistentHash: {httpQueryParameterName: user, maglev: {tableSize: 1009}}}}
"""
TO_SUBSETS = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog]
  http:
    - {match: [{port: 80}], route: [{destination: {host: catalog, subset: header}}]}
    - {match: [{port: 8080}], route: [{destination: {host: catalog, subset: query}}]}
    - {match: [{port: 8081}], route: [{destination: {host: catalog, subset: cookie}}]}
    - {match: [{port: 8082}], route: [{destination: {host: catalog, subset: address}}]}
"""
TO_PORTS_OF_A_SUBSET = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog]
  http:
    - {match: [{port: 80}], route: [{destination: {host: catalog, subset: all, port: {number: 80}}}]}
    - {match: [{port: 8080}], route: [{destination: {host: catalog, subset: all, port: {number: 8080}}}]}
    - {match: [{port: 8081}], route: [{destination: {host: catalog, subset: all, port: {number: 8081}}}]}
    - {match: [{port: 8082}], route: [{destination: {host: catalog, subset: all, port: {number: 8082}}}]}
"""
TO_A_SUBSET = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec: {hosts: [catalog], http: [{route: [{destination: {host: catalog, subset: all}}]}]}
"""
PLACES = {
    "port": (BY_PORT,),
    "subset": (BY_SUBSET, TO_SUBSETS),
    "port of a subset": (BY_PORT_OF_SUBSET, TO_PORTS_OF_A_SUBSET),
}
places = pytest.mark.parametrize("place", PLACES)
SIZES = {"header": 2048, "cookie": 512, "address": 128}


def asked(mesh: Mesh, by: str, varied: str) -> list[set[str]]:
    """Who answers each of 16 callers, who differ in one property alone; each asks twice."""
    answers = []
    for number in range(16):
        told = {name: f"user-{number if name == varied else 0}" for name in PORTS}
        headers = {"x-user": told["header"], "cookie": f"cart={told['cookie']}"}
        url = f"http://catalog:{PORTS[by]}/books?user={told['query']}"
        sent = [mesh.request(CLIENT, url, headers=headers) for _ in range(2)]
        answers.append({one.backend.workload if one.backend else "nobody" for one in sent})
    return answers


def sizes(mesh: Mesh, by: str, kind: str, subset: str = "") -> list[int]:
    """How large the callers' Envoy made its rings or tables."""
    found = json.loads(mesh.admin(CLIENT, f"/stats?format=json&filter={kind}"))["stats"]
    begin = f"cluster.outbound|{PORTS[by]}|{subset}|catalog.shop."
    return [one["value"] for one in found if one["name"].startswith(begin) and one["value"]]


@places
@pytest.mark.parametrize("by", ["header", "query", "cookie"])
def test_what_is_hashed_alone_decides(mesh: Mesh, place: str, by: str) -> None:
    mesh.apply(*PLACES[place])
    answers = asked(mesh, by, by)
    assert all(len(each) == 1 for each in answers)
    assert set.union(*answers) == BOTH
    (other,) = {"header", "query"} - {by} if by != "cookie" else {"query"}
    assert len(set.union(*asked(mesh, by, other))) == 1


@places
def test_one_caller_has_one_address(mesh: Mesh, place: str) -> None:
    mesh.apply(*PLACES[place])
    for varied in ("header", "query", "cookie"):
        assert len(set.union(*asked(mesh, "address", varied))) == 1


def test_without_hash_every_pod_answers(mesh: Mesh) -> None:
    """The twin."""
    for by in PORTS:
        assert set.union(*asked(mesh, by, "none")) == BOTH


@places
def test_rings_and_tables_have_the_size_that_is_asked_for(mesh: Mesh, place: str) -> None:
    mesh.apply(*PLACES[place])
    named = {"port": dict.fromkeys(PORTS, ""), "subset": {by: by for by in PORTS}}
    subset = named.get(place, dict.fromkeys(PORTS, "all"))
    for by, size in SIZES.items():
        assert sizes(mesh, by, "ring_hash_lb.size", subset[by]) == [size]
    assert sizes(mesh, "query", "ring_hash_lb.size", subset["query"]) == []
    entries = sizes(mesh, "query", "maglev_lb.m.._entries_per_host", subset["query"])
    assert sum(entries) == 1009  # of the two pods


@places
def test_a_cookie_is_made_as_the_rule_says(mesh: Mesh, place: str) -> None:
    mesh.apply(*PLACES[place])
    said(mesh.request(CLIENT, "http://catalog:8081/books").headers.all("set-cookie"))
    brought = mesh.request(CLIENT, "http://catalog:8081/books", headers={"cookie": "cart=mine"})
    assert brought.headers.all("set-cookie") == []


def said(cookies: list[str]) -> None:
    (cookie,) = cookies
    pair, *attributes = [part.strip() for part in cookie.split(";")]
    assert pair.startswith("cart=")
    assert set(attributes) == {"Max-Age=60", "Path=/books", "SameSite=Strict", "HttpOnly"}


def test_for_every_port(mesh: Mesh) -> None:
    mesh.apply(FOR_EVERY_PORT)
    said(mesh.request(CLIENT, "http://catalog/books").headers.all("set-cookie"))
    assert sizes(mesh, "header", "ring_hash_lb.size") == sizes(mesh, "address", "ring_hash_lb.size") == [512]
    mesh.replace(MAGLEV)
    assert sizes(mesh, "address", "ring_hash_lb.size") == []
    answers = asked(mesh, "address", "query")
    assert (len(set.union(*answers)), {len(each) for each in answers}) == (2, {1})


def test_one_port_may_be_hashed_alone(mesh: Mesh) -> None:
    """What stands for a port takes the place of what stands for all; there they take turns."""
    mesh.apply(BY_PORT_TOO)
    assert {len(each) for each in asked(mesh, "header", "header")} == {1}
    assert {len(each) for each in asked(mesh, "query", "query")} == {2}


def test_the_hash_of_a_subsets_port_is_for_routes_that_name_the_port(mesh: Mesh) -> None:
    """As istiod reads it: without the port it finds no property to hash by, and any pod answers."""
    mesh.apply(BY_PORT_OF_SUBSET, TO_A_SUBSET)
    assert sizes(mesh, "header", "ring_hash_lb.size", "all") == [2048]
    assert set.union(*asked(mesh, "header", "none")) == BOTH
