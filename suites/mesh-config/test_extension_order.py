"""Where a TrafficExtension stands: before authorization or after it, in which order, for whom, at which port."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh

pytestmark = pytest.mark.mesh("fixtures/protocols")

ALICE, URL = "shop/alice", "http://server.shop/"
DENIED = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: server, namespace: shop}
spec: {selector: {matchLabels: {app: server}}, action: DENY, rules: [{}]}
"""
ANSWERS = """
apiVersion: extensions.istio.io/v1alpha1
kind: TrafficExtension
metadata: {name: own, namespace: shop}
spec:
  selector: {matchLabels: {app: server}}
  phase: PHASE
  lua: {inlineCode: 'function envoy_on_request(h) h:respond({[":status"] = "299"}, "") end'}
"""
FIRST = """
apiVersion: extensions.istio.io/v1alpha1
kind: TrafficExtension
metadata: {name: first, namespace: shop}
spec:
  selector: {matchLabels: {app: server}}
  priority: 10
  lua: {inlineCode: 'function envoy_on_request(h) h:headers():add("x-own", "first") end'}
"""
AT_PORT = """
apiVersion: extensions.istio.io/v1alpha1
kind: TrafficExtension
metadata: {name: own, namespace: shop}
spec:
  selector: {matchLabels: {app: server}}
  match: [{mode: SERVER, ports: [{number: 8080}]}]
  lua: {inlineCode: 'function envoy_on_request(h) h:headers():add("x-own", "here") end'}
"""


def marks(one: Exchange) -> list[str]:
    assert one.backend is not None
    return [word for value in one.backend.request.headers.get("x-own", ()) for word in value.split(",")]


@pytest.mark.parametrize(("phase", "status"), [("AUTHN", 299), ("AUTHZ", 299), ("STATS", 403)])
def test_a_phase_is_before_or_after_authorization(mesh: Mesh, phase: str, status: int) -> None:
    mesh.replace(DENIED, ANSWERS.replace("PHASE", phase))
    assert mesh.request(ALICE, URL).status == status


def test_more_priority_comes_first(mesh: Mesh) -> None:
    second = FIRST.replace("first", "second")
    mesh.replace(FIRST, second.replace("10", "5"))
    assert marks(mesh.request(ALICE, URL)) == ["first", "second"]
    mesh.replace(FIRST, second.replace("10", "15"))
    assert marks(mesh.request(ALICE, URL)) == ["second", "first"]


def test_it_runs_at_its_port(mesh: Mesh) -> None:
    mesh.replace(AT_PORT)
    assert marks(mesh.request(ALICE, URL)) == ["here"]
    assert marks(mesh.request(ALICE, "h2c://server.shop:81/")) == []
