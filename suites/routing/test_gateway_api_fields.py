"""Routes of the Gateway API with less usual fields: filters of a backend, mirrors, expressions, whole references."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.checks.statistics import window

if TYPE_CHECKING:
    from meshtest import Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop")

CLIENT = "shop/orders"
HTTP = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: catalog, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: catalog}]
  rules:
    - matches:
        - headers: [{type: RegularExpression, name: x-user, value: "a.*"}, {type: Exact, name: x-plan, value: "1"}]
      filters:
        - type: RequestMirror
          requestMirror: {backendRef: {group: "", kind: Service, namespace: shop, name: catalog-v1, port: 80}}
      backendRefs:
        - group: ""
          kind: Service
          name: catalog-v2
          port: 80
          filters:
            - type: ResponseHeaderModifier
              responseHeaderModifier:
                set: [{name: x-set, value: new}]
                add: [{name: x-add, value: "2"}]
                remove: [x-gone]
    - backendRefs: [{name: catalog-v1, port: 80}]
"""
GRPC = """
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: catalog, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, namespace: shop, name: catalog, port: 7070}]
  rules:
    - matches: [{headers: [{type: RegularExpression, name: x-user, value: "a.*"}]}]
      filters:
        - type: RequestHeaderModifier
          requestHeaderModifier:
            set: [{name: x-set, value: new}]
            add: [{name: x-add, value: "2"}]
            remove: [x-gone]
        - type: ResponseHeaderModifier
          responseHeaderModifier:
            set: [{name: x-told, value: rule}]
            add: [{name: x-more, value: "1"}]
            remove: [x-none]
        - type: RequestMirror
          requestMirror: {backendRef: {group: "", kind: Service, namespace: shop, name: catalog-v1, port: 7070}}
      backendRefs: [{group: "", kind: Service, namespace: shop, name: catalog-v2, port: 7070}]
    - matches: [{headers: [{type: Exact, name: x-user, value: bob}]}]
      backendRefs:
        - group: ""
          kind: Service
          namespace: shop
          name: catalog-v2
          port: 7070
          filters:
            - type: RequestHeaderModifier
              requestHeaderModifier:
                set: [{name: x-set, value: newer}]
                add: [{name: x-add, value: "3"}]
                remove: [x-gone]
            - type: ResponseHeaderModifier
              responseHeaderModifier:
                set: [{name: x-told, value: backend}]
                add: [{name: x-more, value: "2"}]
                remove: [x-none]
    - backendRefs: [{name: catalog-v1, port: 7070}]
"""
GRPC_COPIES = """
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: catalog, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: catalog, port: 7070}]
  rules:
    - matches: [{method: {service: half}}]
      filters:
        - {type: RequestMirror, requestMirror: {backendRef: {name: catalog-v2, port: 7070}, percent: 50}}
      backendRefs: [{name: catalog-v1, port: 7070}]
    - matches: [{method: {service: fifth}}]
      filters:
        - type: RequestMirror
          requestMirror: {backendRef: {name: catalog-v2, port: 7070}, fraction: {numerator: 1, denominator: 5}}
      backendRefs: [{name: catalog-v1, port: 7070}]
"""
TCP = """
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: catalog, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, namespace: shop, name: catalog, port: 9000}]
  rules:
    - name: all
      backendRefs:
        - {group: "", kind: Service, namespace: shop, name: catalog-v1, port: 9000, weight: 9}
        - {group: "", kind: Service, namespace: shop, name: catalog-v2, port: 9000, weight: 1}
"""
TLS = """
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {name: catalog, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, namespace: shop, name: catalog, port: 9443}]
  hostnames: [vault.example.com]
  rules:
    - name: all
      backendRefs:
        - {group: "", kind: Service, namespace: shop, name: catalog-v1, port: 9443, weight: 9}
        - {group: "", kind: Service, namespace: shop, name: catalog-v2, port: 9443, weight: 1}
"""
ANSWER = {"x-echo-set-header": "x-set:old,x-add:1,x-gone:1"}


def test_a_backend_changes_answers(mesh: Mesh) -> None:
    mesh.apply(HTTP)
    chosen = mesh.request(CLIENT, "http://catalog/", headers={"x-user": "ann", "x-plan": "1", **ANSWER})
    assert chosen.backend is not None
    assert chosen.backend.workload == "catalog-v2"
    told = {name: ",".join(chosen.headers.all(name)) for name in ("x-set", "x-add", "x-gone")}
    assert told == {"x-set": "new", "x-add": "1,2", "x-gone": ""}
    assert [hop.pod for hop in chosen.mirrors] == ["shop/catalog-v1-0"]


@pytest.mark.parametrize(("user", "plan"), [("bob", "1"), ("ann", "12"), ("ban", "1")])
def test_what_matches_not_all_goes_on(mesh: Mesh, user: str, plan: str) -> None:
    """The twins."""
    mesh.apply(HTTP)
    one = mesh.request(CLIENT, "http://catalog/", headers={"x-user": user, "x-plan": plan, **ANSWER})
    assert one.backend is not None
    assert (one.backend.workload, one.headers.all("x-set"), one.mirrors) == ("catalog-v1", ["old"], ())


@pytest.mark.parametrize(
    ("user", "workload", "sent", "told", "copies"),
    [
        ("ann", "catalog-v2", {"x-set": "new", "x-add": "1,2", "x-gone": ""}, "rule", 1),
        ("bob", "catalog-v2", {"x-set": "newer", "x-add": "1,3", "x-gone": ""}, "backend", 0),
        ("eve", "catalog-v1", {"x-set": "old", "x-add": "1", "x-gone": "1"}, None, 0),
    ],
)
def test_filters_of_grpc(
    mesh: Mesh, user: str, workload: str, sent: dict[str, str], told: str | None, copies: int
) -> None:
    mesh.apply(GRPC)
    headers = {"x-user": user, "x-set": "old", "x-add": "1", "x-gone": "1"}
    one = mesh.request(CLIENT, "grpc://catalog:7070/library.Shelf/Find", headers=headers)
    assert one.backend is not None
    assert (one.grpc_status, one.backend.workload, len(one.mirrors)) == (0, workload, copies)
    found = {name: ",".join(one.backend.request.headers.get(name, ())) for name in sent}
    assert (found, one.headers.get("x-told")) == (sent, told)


@pytest.mark.parametrize(("service", "share"), [("half", 0.5), ("fifth", 0.2)])
def test_shares_of_copies_of_grpc(mesh: Mesh, service: str, share: float) -> None:
    mesh.apply(GRPC_COPIES)
    found = mesh.send(CLIENT, f"grpc://catalog:7070/{service}/Find", requests=200).exchanges
    assert {one.backend.workload for one in found if one.backend} == {"catalog-v1"}
    assert sum(len(one.mirrors) for one in found) in window(200, share)


@pytest.mark.parametrize(
    ("policy", "url"), [(TCP, "tcp://catalog:9000"), (TLS, "tls://catalog:9443")], ids=["tcp", "tls"]
)
def test_connections_are_shared_out_by_weight(mesh: Mesh, policy: str, url: str) -> None:
    asked: dict[str, Any] = {
        "body": b"hello",
        "reuse": False,
        "tls": {"server_name": "vault.example.com"} if policy == TLS else None,
    }
    for applied, share in ((False, 0.5), (True, 0.1)):
        if applied:
            mesh.apply(policy)
        found = mesh.send(CLIENT, url, requests=300, **asked).exchanges
        answered = Counter(one.backend.workload if one.backend else "nobody" for one in found)
        assert set(answered) == {"catalog-v1", "catalog-v2"}
        assert answered["catalog-v2"] in window(300, share)
