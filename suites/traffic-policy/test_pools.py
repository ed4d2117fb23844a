"""Connections that a DestinationRule opens and closes: for how many requests, how long, in which protocol; and where.

Each setting is tried at each place that has it: for every port, for one port, for a subset, for one port of a subset.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from suites.programs import run
from suites.sockets import established

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop", "places.yaml")

CLIENT = "shop/orders"
PLACES = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: every-port, namespace: shop}
spec: {host: every-port, trafficPolicy: {connectionPool: POOL}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: one-port, namespace: shop}
spec:
  host: one-port
  trafficPolicy:
    portLevelSettings: [{port: {number: 80}, connectionPool: POOL}, {port: {number: 9000}, connectionPool: POOL}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: subset, namespace: shop}
spec: {host: subset, subsets: [{name: all, labels: {app: catalog}, trafficPolicy: {connectionPool: POOL}}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: port-of-subset, namespace: shop}
spec:
  host: port-of-subset
  subsets:
    - name: all
      labels: {app: catalog}
      trafficPolicy:
        portLevelSettings: [{port: {number: 80}, connectionPool: POOL}, {port: {number: 9000}, connectionPool: POOL}]
"""
THREE_EACH = PLACES.replace("POOL", "{http: {maxRequestsPerConnection: 3}}")
IDLE = PLACES.replace("POOL", "{http: {idleTimeout: 100ms}}")
IDLE_AS_TCP = PLACES.replace("POOL", "{tcp: {idleTimeout: 100ms}}")
SHORT = PLACES.replace("POOL", "{tcp: {maxConnectionDuration: 200ms}}")
UPGRADED = PLACES.replace("POOL", "{http: {h2UpgradePolicy: UPGRADE}}")
FEW_STREAMS = PLACES.replace("POOL", "{http: {h2UpgradePolicy: UPGRADE, maxConcurrentStreams: 2}}")
AS_ASKED = PLACES.replace("POOL", "{http: {useClientProtocol: true}}")
KEPT_ALIVE = PLACES.replace("POOL", "{tcp: {tcpKeepalive: {time: 600s, interval: 7s, probes: 3}}}")
ONE = PLACES.replace("POOL", "{tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}")
TWO_AT_ONCE = PLACES.replace("POOL", "{http: {http2MaxRequests: 2}}")

places = pytest.mark.parametrize("place", ["every-port", "one-port", "subset", "port-of-subset"])


def connections(exchanges: tuple[Exchange, ...]) -> Counter[str]:
    """How many requests went over each connection of the caller's sidecar."""
    assert {one.status for one in exchanges} == {200}
    return Counter(one.hops[0].raw["upstream_local"] for one in exchanges)


def spoken(mesh: Mesh, place: str, scheme: str = "http") -> str:
    """What the callee's sidecar was spoken to in."""
    (inbound,) = [hop for hop in mesh.request(CLIENT, f"{scheme}://{place}/").hops if hop.side == "inbound"]
    return str(inbound.raw["protocol"])


@places
def test_a_connection_carries_so_many_requests(mesh: Mesh, place: str) -> None:
    mesh.apply(THREE_EACH)
    found = connections(mesh.send(CLIENT, f"http://{place}/", requests=9, concurrency=1).exchanges)
    assert list(found.values()) == [3, 3, 3]
    plain = connections(mesh.send(CLIENT, "http://plain/", requests=9, concurrency=1).exchanges)
    assert list(plain.values()) == [9]


@places
@pytest.mark.parametrize("policy", [IDLE, IDLE_AS_TCP], ids=["http", "tcp"])
def test_a_connection_without_requests_is_closed(mesh: Mesh, place: str, policy: str) -> None:
    mesh.apply(policy)
    found = connections(mesh.send(CLIENT, f"http://{place}/", rate=2.0, duration=2.0).exchanges)
    assert set(found.values()) == {1}
    plain = connections(mesh.send(CLIENT, "http://plain/", rate=2.0, duration=2.0).exchanges)
    assert len(plain) == 1


@places
def test_an_old_connection_is_closed(mesh: Mesh, place: str) -> None:
    mesh.apply(SHORT)
    found = mesh.send(CLIENT, f"http://{place}/?delay=50ms", requests=12, concurrency=1).exchanges
    assert len(connections(found)) > 1
    plain = mesh.send(CLIENT, "http://plain/?delay=50ms", requests=12, concurrency=1).exchanges
    assert len(connections(plain)) == 1


TALK = """
import socket, sys
talk = socket.create_connection((sys.argv[1], 9000))
talk.settimeout(float(sys.argv[2]))
talk.sendall(b"hello")
try:
    while talk.recv(65536): pass
    print("closed")
except ConnectionError:
    print("closed")
except TimeoutError:
    print("open")
"""
"""Says hello, and then waits for the end."""


@pytest.mark.parametrize(
    ("place", "end"), [("every-port", "closed"), ("one-port", "open"), ("subset", "open"), ("plain", "open")]
)
def test_a_tcp_connection_without_bytes_is_closed(mesh: Mesh, place: str, end: str) -> None:
    """Of connections that are no HTTP istiod asks the policy of every port alone."""
    mesh.apply(IDLE_AS_TCP)
    address, wait = f"{place}.shop.svc.cluster.local", "15" if end == "closed" else "1"
    found = run(mesh, CLIENT, TALK, address, wait)
    assert found.stdout.strip() == end, found


@places
def test_http2_between_sidecars(mesh: Mesh, place: str) -> None:
    assert (spoken(mesh, "plain"), spoken(mesh, "plain", "h2c")) == ("HTTP/1.1", "HTTP/1.1")
    mesh.apply(UPGRADED)
    assert (spoken(mesh, place), spoken(mesh, place, "h2c")) == ("HTTP/2", "HTTP/2")
    mesh.apply(AS_ASKED)
    assert (spoken(mesh, place), spoken(mesh, place, "h2c")) == ("HTTP/1.1", "HTTP/2")


@places
def test_so_many_streams_at_once_over_one_connection(mesh: Mesh, place: str) -> None:
    url = f"http://{place}/?delay=300ms"
    mesh.apply(UPGRADED)
    assert mesh.request(CLIENT, url).status == 200  # the connection is there before the crowd
    assert len(connections(mesh.send(CLIENT, url, requests=12, concurrency=12).exchanges)) == 1
    mesh.apply(FEW_STREAMS)
    found = connections(mesh.send(CLIENT, url, requests=12, concurrency=12).exchanges)
    assert max(found.values()) <= 2


@places
def test_the_kernel_keeps_connections_alive(mesh: Mesh, place: str) -> None:
    def asks_after(name: str) -> float | None:
        """When the kernel looks after the connection over which a request went."""
        port = mesh.request(CLIENT, f"http://{name}/").hops[0].raw["upstream_local"].rpartition(":")[2]
        (found,) = established(mesh, CLIENT, int(port))
        return found.keepalive

    mesh.apply(KEPT_ALIVE)
    assert asks_after("plain") is None
    assert 500 < (asks_after(place) or 0) <= 600


@places
def test_what_is_too_much_is_refused(mesh: Mesh, place: str) -> None:
    slow = "/?delay=300ms"
    found = mesh.send(CLIENT, f"http://plain{slow}", requests=6, concurrency=6).exchanges
    assert set(connections(found).values()) == {1}
    for policy in (ONE, TWO_AT_ONCE):
        mesh.apply(policy)
        assert (
            mesh.request(CLIENT, f"http://{place}/").status == 200
        )  # the connection is there before the crowd
        found = mesh.send(CLIENT, f"http://{place}{slow}", requests=6, concurrency=6).exchanges
        assert Counter((one.status, one.hops[0].flags) for one in found) == {(200, ""): 2, (503, "UO"): 4}
