"""Which pods and ports a Service leads to by its less usual fields, and what holds at ports that no Service has."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from meshtest import Mesh

pytestmark = pytest.mark.mesh(
    "../../fixtures/addressing",
    external={"legacy.example.com": {"ports": ["8080/HTTP"], "addresses": ["192.0.2.80"]}},
)

CLIENT, NAKED = "client", "plain/naked"
AT_AN_ADDRESS = """
apiVersion: v1
kind: Service
metadata: {name: fixed}
spec: {clusterIP: 10.96.77.7, selector: {app: web}, ports: [{name: http, port: 80, targetPort: web}]}
"""
BY_SLICE = """
apiVersion: v1
kind: Service
metadata: {name: listed}
spec: {ports: [{name: http, port: 80}, {name: tcp, port: 90}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: listed-1, labels: {kubernetes.io/service-name: listed}}
addressType: IPv4
endpoints: [{addresses: [NORTH]}]
ports: [{name: http, port: 8081, protocol: TCP}, {name: tcp, port: 9000, protocol: TCP}]
"""
BY_ENDPOINTS = """
apiVersion: v1
kind: Service
metadata: {name: listed}
spec: {ports: [{name: http, port: 80}, {name: tcp, port: 90}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: listed}
subsets: [{addresses: [{ip: NORTH}], ports: [{name: http, port: 8081}, {name: tcp, port: 9000}]}]
"""
ONE_READY_BY_SLICE = """
apiVersion: v1
kind: Service
metadata: {name: listed}
spec: {ports: [{name: tcp, port: 90}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: listed-1, labels: {kubernetes.io/service-name: listed}}
addressType: IPv4
endpoints:
  - {addresses: [NORTH], conditions: {ready: true}}
  - {addresses: [SOUTH], conditions: {ready: false}}
ports: [{name: tcp, port: 9000, protocol: TCP}]
"""
ONE_READY_BY_ENDPOINTS = """
apiVersion: v1
kind: Service
metadata: {name: listed}
spec: {ports: [{name: tcp, port: 90}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: listed}
subsets: [{addresses: [{ip: NORTH}], notReadyAddresses: [{ip: SOUTH}], ports: [{name: tcp, port: 9000}]}]
"""
BY_THE_NAME_OF_A_PORT = """
apiVersion: v1
kind: Service
metadata: {name: odd}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: odd}]}
---
apiVersion: v1
kind: Pod
metadata: {name: odd, labels: {app: web}}
spec: {containers: [{name: web, image: web, ports: [{name: odd, containerPort: 8083}]}]}
"""
NEAR = """
apiVersion: v1
kind: Service
metadata: {name: near}
spec: {trafficDistribution: PreferClose, selector: {app: web}, ports: [{name: http, port: 80, targetPort: web}]}
"""
ANYWHERE = """
apiVersion: v1
kind: Service
metadata: {name: near}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: web}]}
"""
IN_SUBZONES = """
apiVersion: v1
kind: Node
metadata:
  name: west-a
  labels: {topology.kubernetes.io/region: west, topology.kubernetes.io/zone: w1, topology.istio.io/subzone: a}
---
apiVersion: v1
kind: Node
metadata:
  name: west-b
  labels: {topology.kubernetes.io/region: west, topology.kubernetes.io/zone: w1, topology.istio.io/subzone: b}
---
apiVersion: v1
kind: Pod
metadata: {name: in-a, labels: {app: west}}
spec: {nodeName: west-a, containers: [{name: app, image: app, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: in-b, labels: {app: west}}
spec: {nodeName: west-b, containers: [{name: app, image: app, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: west}
spec: {selector: {app: west}, ports: [{name: http, port: 80, targetPort: 8080}]}
"""
NEAR_FIRST = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: west}
spec: {host: west, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 100}}}
"""
STRICT = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: web}
spec: {selector: {matchLabels: {app: web}}, mtls: {mode: STRICT}}
"""
NO_SECRETS = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: web}
spec: {selector: {matchLabels: {app: web}}, action: DENY, rules: [{to: [{operation: {paths: [/secret]}}]}]}
"""
callers = pytest.mark.parametrize("caller", [CLIENT, NAKED])


def answered(mesh: Mesh, caller: str, url: str, **fields: Any) -> Counter[str]:
    """Who answered each of forty requests, every one over a connection of its own."""
    found = mesh.send(caller, url, requests=40, reuse=False, **fields).exchanges
    return Counter(one.backend.workload if one.backend else f"{one.outcome} {one.status}" for one in found)


@callers
def test_an_address_may_be_asked_for(mesh: Mesh, caller: str) -> None:
    mesh.apply(AT_AN_ADDRESS)
    for fields in ({}, {"address": "10.96.77.7"}):
        found = answered(mesh, caller, "http://fixed.default/", **fields)
        assert set(found) == {"web-north", "web-south"}


@callers
@pytest.mark.parametrize("manifests", [BY_SLICE, BY_ENDPOINTS], ids=["slice", "endpoints"])
def test_endpoints_may_have_several_ports(mesh: Mesh, caller: str, manifests: str) -> None:
    (pod,) = mesh.model.pods_of("default/web-north")
    mesh.apply(manifests.replace("NORTH", pod.ip))
    for url in ("http://listed.default/", "tcp://listed.default:90"):
        one = mesh.request(caller, url, body="hello")
        assert one.backend is not None
        assert one.backend.workload == "web-north"


@callers
@pytest.mark.parametrize(
    "manifests", [ONE_READY_BY_SLICE, ONE_READY_BY_ENDPOINTS], ids=["slice", "endpoints"]
)
def test_endpoints_that_are_not_ready_get_nothing(mesh: Mesh, caller: str, manifests: str) -> None:
    for name, workload in (("NORTH", "web-north"), ("SOUTH", "web-south")):
        manifests = manifests.replace(name, mesh.model.pods_of(f"default/{workload}")[0].ip)
    mesh.apply(manifests)
    assert answered(mesh, caller, "tcp://listed.default:90", body="hello") == {"web-north": 40}


@callers
def test_a_pod_without_the_port_that_is_named_is_no_endpoint(mesh: Mesh, caller: str) -> None:
    mesh.apply(BY_THE_NAME_OF_A_PORT)
    assert answered(mesh, caller, "http://odd.default/") == {"odd": 40}


def test_a_service_may_prefer_what_is_near(mesh: Mesh) -> None:
    """Without any DestinationRule."""
    mesh.apply(ANYWHERE)
    assert set(answered(mesh, CLIENT, "http://near/")) == {"web-north", "web-south"}
    mesh.apply(NEAR)
    assert answered(mesh, CLIENT, "http://near/") == {"web-north": 40}


def test_a_subzone_is_where_its_node_is(mesh: Mesh) -> None:
    mesh.apply(IN_SUBZONES)
    assert set(answered(mesh, "in-a", "http://west/")) == {"in-a", "in-b"}
    mesh.apply(NEAR_FIRST)
    assert answered(mesh, "in-a", "http://west/") == {"in-a": 40}
    assert answered(mesh, "in-b", "http://west/") == {"in-b": 40}


def test_policies_hold_at_ports_that_no_service_has(mesh: Mesh) -> None:
    (pod,) = mesh.model.pods_of("default/web-south")
    url = f"http://{pod.ip}:7070"
    mesh.replace(NO_SECRETS)
    for caller in (CLIENT, NAKED):
        opened, denied = (mesh.request(caller, f"{url}{path}") for path in ("/open", "/secret"))
        assert (opened.status, opened.hops[-1].cluster) == (200, "InboundPassthroughCluster")
        assert (denied.status, denied.backend) == (403, None)
        assert denied.decided_by is not None
        assert (denied.decided_by.effect, denied.decided_by.name) == ("denied", "web")
    mesh.replace(STRICT)
    for caller in (CLIENT, NAKED):
        one = mesh.request(caller, f"{url}/open")
        assert (one.backend, str(one.decided_by).split(" (")[0]) == (
            None,
            "denied by PeerAuthentication default/web",
        )


@pytest.mark.parametrize(("port", "seen"), [(15008, False), (15020, False), (7171, True)])
def test_a_sidecar_leaves_istios_own_ports_alone(mesh: Mesh, port: int, seen: bool) -> None:  # noqa: FBT001
    """Nobody listens at these: what is taken over is answered by the sidecar, the rest is refused."""
    (pod,) = mesh.model.pods_of("default/web-south")
    one = mesh.request(NAKED, f"http://{pod.ip}:{port}/")
    assert (one.status, one.outcome) == ((503, "response") if seen else (None, "refused"))
