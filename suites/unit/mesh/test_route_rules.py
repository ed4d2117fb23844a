from __future__ import annotations

import pytest

from meshtest.mesh.manifests import load_text
from meshtest.mesh.route_rules import find_rule, merged

ROUTES = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web.one, namespace: shop}
spec:
  rules:
    - {backendRefs: [{name: a, port: 80}]}
    - {name: checkout, backendRefs: [{name: b, port: 80}]}
    - {name: both}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: calls}
spec: {rules: [{name: both}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: whole}
spec: {}
---
apiVersion: v1
kind: Service
metadata: {name: web}
"""


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("shop.web.one.0", ("HTTPRoute", "shop", "web.one", 0)),
        ("checkout", ("HTTPRoute", "shop", "web.one", 1)),
        ("default.whole.0", ("HTTPRoute", "default", "whole", 0)),
        ("shop.web.one.1", None),
        ("both", None),
        ("default.web.0", None),
    ],
    ids=["by-its-number", "by-its-name", "the-default-rule", "has-a-name", "in-two-routes", "no-route"],
)
def test_a_rule_is_found_by_what_istiod_calls_it(name: str, rule: tuple[str, str, str, int] | None) -> None:
    found = find_rule(name, load_text(ROUTES))
    assert (found and (found.ref.kind, found.ref.namespace, found.ref.name, found.number)) == rule


def test_what_istiod_makes_of_routes_has_a_name_that_nobody_can_give() -> None:
    assert merged("shop~80~web.shop.svc.cluster.local")
    assert not merged("web")
