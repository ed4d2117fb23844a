"""Which connections of a pod its sidecar takes over, as annotations of the injector say; and pods without sidecar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop")

CALLER = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: caller, namespace: shop}
spec:
  selector: {matchLabels: {app: caller}}
  template:
    metadata: {labels: {app: caller}, annotations: {ANNOTATION}}
    spec: {containers: [{name: caller, image: caller}]}
"""
CALLEE = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: callee, namespace: shop}
spec:
  selector: {matchLabels: {app: callee}}
  template:
    metadata: {labels: {app: callee}, annotations: {ANNOTATION}}
    spec: {containers: [{name: callee, image: callee, ports: [{containerPort: 8080}, {containerPort: 8090}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: callee, namespace: shop}
spec: {selector: {app: callee}, ports: [{name: http, port: 8080}, {name: http-more, port: 8090}]}
"""
ON_ITS_NODE = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: callee, namespace: shop}
spec:
  selector: {matchLabels: {app: callee}}
  template:
    metadata: {labels: {app: callee}}
    spec:
      hostNetwork: true
      containers: [{name: callee, image: callee, ports: [{containerPort: 8080}, {containerPort: 8090}]}]
---
apiVersion: v1
kind: Service
metadata: {name: callee, namespace: shop}
spec: {selector: {app: callee}, ports: [{name: http, port: 8080}, {name: http-more, port: 8090}]}
"""


@pytest.mark.parametrize(
    ("annotation", "taken"),
    [
        ("", {80, 8080}),
        ('traffic.sidecar.istio.io/excludeOutboundPorts: "8080"', {80}),
        ("traffic.sidecar.istio.io/includeOutboundIPRanges: 192.0.2.0/24", set()),
        ('traffic.sidecar.istio.io/includeOutboundIPRanges: "*"', {80, 8080}),
        ("traffic.sidecar.istio.io/excludeOutboundIPRanges: 10.0.0.0/8", set()),
        (
            (
                'traffic.sidecar.istio.io/includeOutboundIPRanges: "",'
                ' traffic.sidecar.istio.io/includeOutboundPorts: "8080"'
            ),
            {8080},
        ),
        ("traffic.sidecar.istio.io/excludeInterfaces: eth0", set()),
        ('traffic.sidecar.istio.io/excludeInterfaces: "net1,net2"', {80, 8080}),
    ],
    ids=[
        "all", "port-excluded", "other-addresses", "every-address", "addresses-excluded", "port-included",
        "interface-excluded", "other-interfaces",
    ],
)  # fmt: skip
def test_what_a_pod_calls(mesh: Mesh, annotation: str, taken: set[int]) -> None:
    mesh.apply(CALLER.replace("ANNOTATION", annotation))
    found = {port: mesh.request("shop/caller", f"http://catalog:{port}/") for port in (80, 8080)}
    assert {one.status for one in found.values()} == {200}
    by_sidecar = {port for port, one in found.items() if any(hop.side == "outbound" for hop in one.hops)}
    assert by_sidecar == taken
    assert {port for port, one in found.items() if one.peer_identity} == taken


@pytest.mark.parametrize(
    ("annotation", "taken"),
    [
        ("", {8080, 8090}),
        ('traffic.sidecar.istio.io/excludeInboundPorts: "8090"', {8080}),
        ('traffic.sidecar.istio.io/includeInboundPorts: "8090"', {8090}),
        ('traffic.sidecar.istio.io/includeInboundPorts: ""', set()),
        ("traffic.sidecar.istio.io/excludeInterfaces: eth0", set()),
        ("traffic.sidecar.istio.io/excludeInterfaces: net1", {8080, 8090}),
    ],
    ids=["all", "excluded", "included", "none", "interface-excluded", "other-interface"],
)
def test_what_a_pod_is_called_at(mesh: Mesh, annotation: str, taken: set[int]) -> None:
    """The caller speaks no mTLS, which a port without sidecar would not understand."""
    mesh.apply(CALLEE.replace("ANNOTATION", annotation), PLAIN)
    found = {port: mesh.request("shop/orders", f"http://callee:{port}/") for port in (8080, 8090)}
    assert {one.status for one in found.values()} == {200}
    assert {port for port, one in found.items() if any(hop.side == "inbound" for hop in one.hops)} == taken


PLAIN = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: callee, namespace: shop}
spec: {host: callee, trafficPolicy: {tls: {mode: DISABLE}}}
"""


def test_a_pod_of_the_nodes_network_has_no_sidecar(mesh: Mesh) -> None:
    for text, sides in (
        (CALLEE.replace("ANNOTATION", ""), ["outbound", "inbound"]),
        (ON_ITS_NODE, ["outbound"]),
    ):
        mesh.replace(text)
        one = mesh.request("shop/orders", "http://callee:8080/")
        assert (one.status, [hop.side for hop in one.hops]) == (200, sides)
        assert bool(one.peer_identity) is (len(sides) == 2)
