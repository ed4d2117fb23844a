"""Connections that a callee's sidecar opens to its application, as a Sidecar says: for every port, or for one."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from meshtest import faults
from suites.endpoints import wait_until_known
from suites.sockets import established

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop", "places.yaml")

CLIENT, CALLEE = "shop/orders", "shop/catalog-v1"
EVERY_PORT = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: catalog, namespace: shop}
spec: {workloadSelector: {labels: {app: catalog}}, inboundConnectionPool: POOL}
"""
ONE_PORT = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: catalog, namespace: shop}
spec:
  workloadSelector: {labels: {app: catalog}}
  ingress:
    - {port: {number: 8080, protocol: HTTP, name: http}, defaultEndpoint: "0.0.0.0:8080", connectionPool: POOL}
    - {port: {number: 8081, protocol: HTTP2, name: http2}, defaultEndpoint: "0.0.0.0:8081", connectionPool: POOL}
"""
THREE_EACH = (
    EVERY_PORT.replace("POOL", "{http: {maxRequestsPerConnection: 3}}"),
    ONE_PORT.replace("POOL", "{http: {maxRequestsPerConnection: 3}}"),
)
IDLE = (
    EVERY_PORT.replace("POOL", "{http: {idleTimeout: 100ms}}"),
    ONE_PORT.replace("POOL", "{http: {idleTimeout: 100ms}}"),
)
IDLE_AS_TCP = (
    EVERY_PORT.replace("POOL", "{tcp: {idleTimeout: 100ms}}"),
    ONE_PORT.replace("POOL", "{tcp: {idleTimeout: 100ms}}"),
)
SHORT = (
    EVERY_PORT.replace("POOL", "{tcp: {maxConnectionDuration: 200ms}}"),
    ONE_PORT.replace("POOL", "{tcp: {maxConnectionDuration: 200ms}}"),
)
AS_ASKED = (
    EVERY_PORT.replace("POOL", "{http: {useClientProtocol: true}}"),
    ONE_PORT.replace("POOL", "{http: {useClientProtocol: true}}"),
)
ONE = (
    EVERY_PORT.replace("POOL", "{tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}"),
    ONE_PORT.replace("POOL", "{tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}"),
)
TWO_AT_ONCE = (
    EVERY_PORT.replace("POOL", "{http: {http2MaxRequests: 2}}"),
    ONE_PORT.replace("POOL", "{http: {http2MaxRequests: 2}}"),
)
FEW_STREAMS = (
    EVERY_PORT.replace("POOL", "{http: {maxConcurrentStreams: 2}}"),
    ONE_PORT.replace("POOL", "{http: {maxConcurrentStreams: 2}}"),
)
ASKED = (
    EVERY_PORT.replace("POOL", "{http: {http2KeepAlive: {interval: 500ms, timeout: 500ms}}}"),
    ONE_PORT.replace("POOL", "{http: {http2KeepAlive: {interval: 500ms, timeout: 500ms}}}"),
)
KEPT_ALIVE = (
    EVERY_PORT.replace("POOL", "{tcp: {tcpKeepalive: {time: 600s, interval: 7s, probes: 3}}}"),
    ONE_PORT.replace("POOL", "{tcp: {tcpKeepalive: {time: 600s, interval: 7s, probes: 3}}}"),
)
ONE_RETRY = (
    EVERY_PORT.replace("POOL", "{http: {maxRetries: 1}}"),
    ONE_PORT.replace("POOL", "{http: {maxRetries: 1}}"),
)
UPGRADED = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: plain, namespace: shop}
spec: {host: plain, trafficPolicy: {connectionPool: {http: {h2UpgradePolicy: UPGRADE}}}}
"""
places = pytest.mark.parametrize("place", [0, 1], ids=["every port", "one port"])


def inbound(exchanges: tuple[Exchange, ...]) -> list[str]:
    """The connections to the application over which requests went."""
    assert {one.status for one in exchanges} == {200}
    return [hop.raw["upstream_local"] for one in exchanges for hop in one.hops if hop.side == "inbound"]


def first(mesh: Mesh, port: int = 80) -> None:
    """A request, after which the callee's sidecar knows where its application is."""
    assert mesh.request(CLIENT, f"http://plain:{port}/").status == 200
    wait_until_known(mesh, CALLEE, f"inbound|{8080 if port == 80 else port}||")


def shares(mesh: Mesh, requests: int = 8, *, port: int = 80, at_once: int = 1, query: str = "") -> list[int]:
    """How many requests went over each connection, the first of which has had one before."""
    first(mesh, port)
    url = f"http://plain:{port}/{query}"
    found = mesh.send(CLIENT, url, requests=requests, concurrency=at_once).exchanges
    return list(Counter(inbound(found)).values())


@places
def test_a_connection_carries_so_many_requests(mesh: Mesh, place: int) -> None:
    assert shares(mesh) == [8]
    mesh.apply(THREE_EACH[place])
    assert shares(mesh) == [2, 3, 3]


@places
@pytest.mark.parametrize("policies", [IDLE, IDLE_AS_TCP], ids=["http", "tcp"])
def test_a_connection_without_requests_is_closed(mesh: Mesh, place: int, policies: tuple[str, str]) -> None:
    for found, each in (("one connection", 1), ("many", 4)):
        first(mesh)
        sent = mesh.send(CLIENT, "http://plain/", rate=2.0, duration=2.0).exchanges
        assert len(set(inbound(sent))) == each, found
        mesh.apply(policies[place])


@places
def test_an_old_connection_is_closed(mesh: Mesh, place: int) -> None:
    assert shares(mesh, 12, query="?delay=50ms") == [12]
    mesh.apply(SHORT[place])
    assert len(shares(mesh, 12, query="?delay=50ms")) > 1


@places
def test_the_application_is_spoken_to_as_the_caller_speaks(mesh: Mesh, place: int) -> None:
    for expected in ("HTTP/1.1", "HTTP/2"):
        mesh.apply(UPGRADED)
        one = mesh.request(CLIENT, "http://plain/")
        assert one.backend is not None
        assert one.backend.request.protocol == expected
        mesh.apply(AS_ASKED[place])


@places
@pytest.mark.parametrize("policies", [ONE, TWO_AT_ONCE], ids=["connections", "requests"])
def test_what_is_too_much_is_refused(mesh: Mesh, place: int, policies: tuple[str, str]) -> None:
    assert sum(shares(mesh, 6, at_once=6, query="?delay=300ms")) == 6
    mesh.apply(policies[place])
    first(mesh)  # the connection is there before the crowd
    found = mesh.send(CLIENT, "http://plain/?delay=300ms", requests=6, concurrency=6).exchanges
    told = Counter((one.status, hop.flags) for one in found for hop in one.hops if hop.side == "inbound")
    assert told == {(200, ""): 2, (503, "UO"): 4}


@places
def test_so_many_streams_at_once_over_one_connection(mesh: Mesh, place: int) -> None:
    assert shares(mesh, 12, port=8081, at_once=12, query="?delay=300ms") == [12]
    mesh.apply(FEW_STREAMS[place])
    assert max(shares(mesh, 12, port=8081, at_once=12, query="?delay=300ms")) <= 2


@places
def test_an_application_that_hangs_is_noticed(mesh: Mesh, place: int) -> None:
    for policy, outcome in ((UPGRADED, "timeout"), (ASKED[place], "response")):
        mesh.apply(policy)
        assert mesh.request(CLIENT, "http://plain:8081/").status == 200
        with mesh.inject(faults.pause(to=CALLEE)):
            one = mesh.request(CLIENT, "http://plain:8081/", timeout=9 if policy is ASKED[place] else 2)
        assert one.outcome == outcome
    assert one.status == 503


@places
def test_the_kernel_keeps_connections_alive(mesh: Mesh, place: int) -> None:
    def asks_after() -> float | None:
        (local,) = inbound((mesh.request(CLIENT, "http://plain/"),))
        (found,) = established(mesh, CALLEE, int(local.rpartition(":")[2]))
        return found.keepalive

    assert asks_after() is None
    mesh.apply(KEPT_ALIVE[place])
    assert 500 < (asks_after() or 0) <= 600


@places
def test_retries_of_the_callees_sidecar_are_limited(mesh: Mesh, place: int) -> None:
    def at_once() -> str:
        found = mesh.admin(CALLEE, "/clusters").splitlines()
        name = "inbound|8080||::default_priority::max_retries::"
        return next(line.removeprefix(name) for line in found if line.startswith(name))

    assert at_once() == str(2**32 - 1)
    mesh.apply(ONE_RETRY[place])
    assert at_once() == "1"
