"""For how long proxies wait: longer than Envoy would by itself, for answers, for first words and for connections."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from meshtest import faults
from meshtest.live.requests import plain_request
from meshtest.live.sending import Pace
from suites.programs import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest import Mesh

pytestmark = pytest.mark.mesh("../../fixtures/protocols")

ALICE, LEGACY, SERVER, BOB = "shop/alice", "shop/legacy", "shop/server", "office/bob"
ENVOYS_OWN = 15.0
"""Seconds after which Envoy gives up an answer, or the search for a protocol, where nobody says how long."""
PAST_IT = 16.5
UNDECLARED = """
apiVersion: v1
kind: Service
metadata: {name: books, namespace: shop}
spec: {selector: {app: server}, ports: [{name: books, port: 5000}]}
"""
UNREACHED = """
apiVersion: v1
kind: Service
metadata: {name: away, namespace: office}
spec: {selector: {app: bob}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: away, namespace: office}
spec:
  hosts: [away.office.svc.cluster.local]
  http: [{retries: {attempts: 0}, route: [{destination: {host: away.office.svc.cluster.local}}]}]
"""
IMPATIENT = "protocolDetectionTimeout: 200ms"
SILENCE = """
import socket, sys, time
talk = socket.create_connection(("books.shop.svc.cluster.local", 5000))
time.sleep(float(sys.argv[1]))
talk.sendall(b"GET /late HTTP/1.1\\r\\nhost: books.shop\\r\\nconnection: close\\r\\n\\r\\n")
talk.settimeout(30)
while part := talk.recv(65536): sys.stdout.write(part.decode())
"""
"""Connects, says nothing for so many seconds, and then asks in HTTP."""


def told(mesh: Mesh, caller: str, silence: float) -> dict[str, Any]:
    """The headers that the application receives of such a caller."""
    done = run(mesh, caller, SILENCE, str(silence))
    head, _, body = done.stdout.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200 "), done
    answer = json.loads(body[body.index("{") : body.rindex("}") + 1])
    assert answer["path"] == "/late"
    return {name.lower(): value for name, value in answer["headers"].items()}


def slow(mesh: Mesh) -> Iterator[Any]:
    """Requests whose answers take longer than Envoy would wait, and one to whom nobody can connect."""
    (pod,) = mesh.model.pods_of(SERVER)
    fields: dict[str, Any] = {"timeout": 60.0, "headers": {"x-meshtest-control": f"delay={PAST_IT}s"}}
    for url in (
        "http://server.shop/",
        "h2c://server.shop:81/",
        "grpc://server.shop:82/shop.Cart/Add",
        "http://books.shop:5000/",
        f"http://{pod.ip}:8080/",
        "http://away.office/",
    ):
        yield plain_request(url, fields)


def test_proxies_wait_longer_than_envoy_would(mesh: Mesh) -> None:
    """All at once, since it takes so long."""
    mesh.apply(UNDECLARED, UNREACHED)
    with mesh.inject(faults.partition(to=BOB)), ThreadPoolExecutor() as pool:
        silent = {caller: pool.submit(told, mesh, caller, PAST_IT) for caller in (ALICE, LEGACY)}
        sent = list(slow(mesh))
        *answered, away = mesh.drive(ALICE, sent, Pace(requests=len(sent), concurrency=len(sent))).exchanges
        received = {caller: each.result() for caller, each in silent.items()}
    assert [(one.status, one.grpc_status or 0, one.attempts) for one in answered[:4]] == [(200, 0, 1)] * 4
    assert answered[4].status == 200
    assert all(one.latency > ENVOYS_OWN and {hop.flags for hop in one.hops} == {""} for one in answered)
    assert (away.status, away.hops[0].flags) == (503, "UF")
    assert 10 <= away.latency < 30
    assert "x-envoy-attempt-count" in received[ALICE]
    assert "x-request-id" in received[LEGACY]


def test_whoever_says_nothing_for_too_long_speaks_no_http_where_that_is_asked(mesh: Mesh) -> None:
    """The twin: what comes later goes through as bytes, as TCP does."""
    mesh.replace(UNDECLARED, mesh_config=IMPATIENT)
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda caller: told(mesh, caller, 1), (ALICE, LEGACY)))
    assert not any("x-request-id" in headers for headers in found)


def named(told: Any, name: str) -> Iterator[Any]:
    """All values of this name, however deep."""
    if isinstance(told, dict):
        yield from (value for key, value in told.items() if key == name)
    for each in told.values() if isinstance(told, dict) else told if isinstance(told, list) else ():
        yield from named(each, name)


@pytest.mark.parametrize("pod", [ALICE, SERVER])
def test_what_takes_minutes_to_see(mesh: Mesh, pod: str) -> None:
    """In each proxy's own words: streams may stand still, and every route and listener waits."""

    def shown(resource: str, name: str) -> list[Any]:
        return list(named(json.loads(mesh.admin(pod, f"/config_dump?resource={resource}")), name))

    managers = shown("dynamic_listeners", "http_filters")
    assert shown("dynamic_listeners", "stream_idle_timeout") == ["0s"] * len(managers)
    assert len(managers) > 1
    listeners = [each for each in shown("dynamic_listeners", "listener") if "listener_filters" in each]
    assert {each["listener_filters_timeout"] for each in listeners} == {"0s"}
    routes = [
        each for where in ("dynamic_listeners", "dynamic_route_configs") for each in shown(where, "route")
    ]
    assert {each["timeout"] for each in routes if each and "cluster" in each} == {"0s"}
    clusters = [each for each in shown("dynamic_active_clusters", "cluster") if "bound|" in each["name"]]
    assert {each["connect_timeout"] for each in clusters} == {"10s"}
