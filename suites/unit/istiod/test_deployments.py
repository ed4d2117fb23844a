"""What istiod's deployment controller makes of Gateways, and when it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from meshtest.istiod.deployments import GatewayDeployments
from meshtest.mesh.manifests import load_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from meshtest.istiod.engine import Engine
    from meshtest.mesh.model import Manifest

GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: istio
  listeners: [{name: http, port: 80, protocol: HTTP}, {name: tls.example, port: 8443, protocol: TLS, tls: {mode: Passthrough}}]
EXTRA
"""  # noqa: E501 - one listener beside the other
SETS = """
  allowedListeners: {namespaces: {from: Same}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: more}
spec: {parentRef: {name: edge}, listeners: [{name: more, port: 9000, protocol: HTTP}]}
"""
OTHER_CLASS = """
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: theirs}
spec: {gatewayClassName: nginx, listeners: [{name: http, port: 80, protocol: HTTP}]}
"""
OWN_SERVICE = """
---
{apiVersion: v1, kind: Service, metadata: {name: edge-istio}, spec: {selector: {a: b}, ports: [{port: 80}]}}
"""


@pytest.fixture
def engine(start: Callable[[], Engine]) -> Engine:
    return start()


def manifests(extra: str = "") -> list[Manifest]:
    return load_text(GATEWAY.replace("EXTRA", extra))


def ports(found: Iterable[Manifest]) -> list[int]:
    (service,) = [one for one in found if one.ref.kind == "Service"]
    return [port["port"] for port in service.body["spec"]["ports"]]


def test_a_gateway_gets_an_account_a_deployment_and_a_service(engine: Engine) -> None:
    found = GatewayDeployments(engine).of(manifests())
    assert [str(one.ref) for one in found] == [
        f"{kind} default/edge-istio" for kind in ("ServiceAccount", "Deployment", "Service")
    ]
    assert ports(found) == [15021, 80, 8443]


def test_listener_sets_open_ports_too(engine: Engine) -> None:
    assert ports(GatewayDeployments(engine).of(manifests(SETS))) == [15021, 80, 8443, 9000]


@pytest.mark.parametrize(
    "extra",
    [
        "  addresses: [{type: Hostname, value: mine.default.svc.cluster.local}]",
        OTHER_CLASS.replace("edge", "x"),
    ],
    ids=["deployed by hand", "another class"],
)
def test_what_is_not_managed_gets_nothing(engine: Engine, extra: str) -> None:
    found = GatewayDeployments(engine).of(manifests(extra))
    assert {one.ref.name for one in found} == (set() if "addresses" in extra else {"edge-istio"})


def test_a_service_of_that_name_is_left_alone(engine: Engine) -> None:
    found = GatewayDeployments(engine).of(manifests(OWN_SERVICE))
    assert [one.ref.kind for one in found] == ["ServiceAccount", "Deployment"]


class Counting:
    """A controller that makes nothing and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def deployments(self, objects: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        self.asked += bool(list(objects))
        return []


def test_the_controller_is_asked_only_when_what_it_reads_changes() -> None:
    controller = Counting()
    deployments = GatewayDeployments(controller)
    deployments.of(load_text("{apiVersion: v1, kind: Namespace, metadata: {name: plain}}"))
    assert controller.asked == 0
    for _ in range(2):
        deployments.of(manifests())
    route = "---\n{apiVersion: v1, kind: Secret, metadata: {name: other}}"
    deployments.of(manifests(route))
    assert controller.asked == 1
    deployments.of(manifests(SETS))
    assert controller.asked == 2
