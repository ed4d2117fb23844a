"""What of an object's status is worth saying, and about which of its fields."""

from __future__ import annotations

from typing import Any

import pytest

from meshtest.istiod.conditions import problems
from meshtest.mesh.manifests import load_text

GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec: {gatewayClassName: mine, listeners: [{name: http, port: 80}, {name: https, port: 443}]}
"""
ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec: {parentRefs: [{name: edge}, {kind: Service, group: "", name: web, port: 80}]}
"""
INGRESS = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec: {rules: []}
"""


def condition(kind: str, status: str, reason: str = "Why") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": "words"}


def told(kind: str, name: str, **status: Any) -> dict[str, Any]:
    return {"kind": kind, "namespace": "default", "name": name, "status": status}


def said(text: str, *found: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(one.path, one.reason, one.message) for one in problems(found, load_text(text))]


def test_conditions_of_listeners_are_about_them() -> None:
    fine = {"name": "http", "conditions": [condition("Accepted", "True"), condition("Conflicted", "False")]}
    bad = {"name": "https", "conditions": [condition("Conflicted", "True", "HostnameConflict")]}
    own = [condition("Programmed", "False", "AddressNotAssigned")]
    assert said(GATEWAY, told("Gateway", "edge", listeners=[fine, bad], conditions=own)) == [
        ("", "AddressNotAssigned", "Programmed is False: words"),
        ("spec.listeners[1]", "HostnameConflict", "Conflicted is True: words"),
    ]


def test_a_routes_conditions_are_about_the_parent_that_it_names() -> None:
    service = {"parentRef": {"kind": "Service", "group": "", "name": "web", "port": 80}}
    service["conditions"] = [condition("ResolvedRefs", "False", "BackendNotFound")]  # type: ignore[assignment]  # JSON
    assert said(ROUTE, told("HTTPRoute", "shop", parents=[service])) == [
        ("spec.parentRefs[0]", "NotAccepted", "no Gateway default/edge here takes the route"),
        ("spec.parentRefs[1]", "BackendNotFound", "ResolvedRefs is False: words"),
    ]


def test_defaults_are_no_difference() -> None:
    gateway = {
        "kind": "Gateway",
        "group": "gateway.networking.k8s.io",
        "namespace": "default",
        "name": "edge",
    }
    parents = [
        {"parentRef": parent, "conditions": [condition("Accepted", "True")]}
        for parent in (gateway, {"kind": "Service", "group": "", "name": "web", "port": 80})
    ]
    assert said(ROUTE, told("HTTPRoute", "shop", parents=parents)) == []


@pytest.mark.parametrize(
    ("text", "path"), [(GATEWAY, "spec.gatewayClassName"), (INGRESS, "")], ids=["Gateway", "Ingress"]
)
def test_without_a_status_nobody_takes_it_on(text: str, path: str) -> None:
    ((at, reason, _),) = said(text)
    assert (at, reason) == (path, "NotAccepted")


def test_other_kinds_have_none() -> None:
    assert said("{apiVersion: v1, kind: Namespace, metadata: {name: x}}") == []
