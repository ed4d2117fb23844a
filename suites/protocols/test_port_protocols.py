"""What a port is taken for by its name, its `appProtocol` or its number; and what proxies leave as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop")

CLIENT = "shop/orders"
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: typed, namespace: shop}
spec: {selector: {app: catalog, version: v1}, ports: [{PORT, targetPort: 8080}]}
"""


@pytest.mark.parametrize(
    ("port", "layer"),
    [
        ("name: http, port: 5000", "http"),
        ("name: http-books, port: 5000", "http"),
        ("name: tcp, port: 5000", "tcp"),
        ("name: tcp-books, port: 5000", "tcp"),
        ("name: http, appProtocol: tcp, port: 5000", "tcp"),
        ("name: tcp, appProtocol: http, port: 5000", "http"),
        ("name: tcp, appProtocol: kubernetes.io/ws, port: 5000", "http"),
        ("name: mysql, port: 5000", "tcp"),
        ("name: grpc, port: 5000", "http"),
        ("name: http2-books, port: 5000", "http"),
        ("name: tcp, appProtocol: kubernetes.io/h2c, port: 5000", "http"),
        ("name: https, port: 5000", "tcp"),
        ("name: tls-books, port: 5000", "tcp"),
        ("name: http, appProtocol: https, port: 5000", "tcp"),
        ("name: http, appProtocol: kubernetes.io/wss, port: 5000", "tcp"),
        ("name: books, port: 5000", "http"),
        ("port: 5000", "http"),
        ("name: books, port: 25", "tcp"),
        ("name: books, port: 53", "tcp"),
        ("name: books, port: 3306", "tcp"),
        ("name: books, port: 27017", "tcp"),
    ],
)
def test_the_caller_takes_a_port_for(mesh: Mesh, port: str, layer: str) -> None:
    mesh.apply(SERVICE.replace("PORT", port))
    one = mesh.request(CLIENT, f"http://typed:{port.rpartition(' ')[2]}/")
    assert (one.status, [hop.layer for hop in one.hops if hop.side == "outbound"]) == (200, [layer])


@pytest.mark.parametrize("port", ["name: books, port: 5000", "port: 5000"])
def test_what_is_no_http_is_taken_for_tcp_where_nothing_is_declared(mesh: Mesh, port: str) -> None:
    mesh.apply(SERVICE.replace("PORT", port).replace("8080", "9000"))
    one = mesh.request(CLIENT, "tcp://typed:5000", body=b"\x00hello")
    assert one.backend is not None
    assert [hop.layer for hop in one.hops] == ["tcp", "tcp"]


@pytest.mark.parametrize(
    ("port", "spoken"),
    [("name: web, port: 5000, appProtocol: http2", "HTTP/2"), ("name: http, port: 5000", "HTTP/1.1")],
)
def test_http2_by_app_protocol(mesh: Mesh, port: str, spoken: str) -> None:
    mesh.apply(SERVICE.replace("PORT", port))
    hops = mesh.request(CLIENT, "http://typed:5000/").hops
    assert [hop.raw["protocol"] for hop in hops] == ["HTTP/1.1", spoken]


def test_the_callers_word_on_whom_it_calls_for_is_passed_on(mesh: Mesh) -> None:
    headers = {"x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https"}
    one = mesh.request(CLIENT, "http://catalog/", headers=headers)
    assert one.backend is not None
    assert one.backend.request.headers["x-forwarded-for"] == ["203.0.113.7"]
    assert one.backend.request.headers["x-forwarded-proto"] == ["https"]


def test_a_body_that_waits_to_be_asked_for_arrives(mesh: Mesh) -> None:
    one = mesh.request(
        CLIENT, "http://catalog/", method="POST", headers={"expect": "100-continue"}, body=b"books"
    )
    assert one.backend is not None
    assert (one.status, one.backend.request.body) == (200, b"books")
    assert one.backend.request.headers["expect"] == ["100-continue"]  # a proxy that asks itself takes it off


def test_many_at_once_are_no_problem(mesh: Mesh) -> None:
    """Envoy's own limit would be 1024."""
    found = mesh.send(
        CLIENT, "http://catalog-v1/?delay=3s", requests=1100, concurrency=1100, timeout=60
    ).exchanges
    assert {one.status for one in found} == {200}
    assert max(one.started for one in found) < min(one.started + one.latency for one in found)


LIMITS = ("max_connections", "max_pending_requests", "max_requests", "max_retries")


@pytest.mark.parametrize(
    ("pod", "cluster"),
    [(CLIENT, "outbound|80||catalog-v1.shop.svc.cluster.local"), ("shop/catalog-v1", "inbound|8080||")],
)
def test_there_are_no_limits(mesh: Mesh, pod: str, cluster: str) -> None:
    """In numbers: as many as Envoy can count."""
    assert mesh.request(CLIENT, "http://catalog-v1/").status == 200
    begin = f"{cluster}::default_priority::"
    told = [
        line.removeprefix(begin)
        for line in mesh.admin(pod, "/clusters").splitlines()
        if line.startswith(begin)
    ]
    assert {f"{name}::{2**32 - 1}" for name in LIMITS} == {line for line in told if "max_" in line}
