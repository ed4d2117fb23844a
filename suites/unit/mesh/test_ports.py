from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.mesh.ports import istio_protocol, standin_ports, standin_protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.mesh.model import MeshModel

    Build = Callable[..., MeshModel]


@pytest.mark.parametrize(
    ("number", "name", "app_protocol", "protocol"),
    [
        (80, "", "", ""),
        (80, "http", "", "http"),
        (80, "HTTP-web", "", "http"),
        (80, "web-http", "", ""),
        (80, "http2-web", "", "http2"),
        (80, "grpc-web", "", "grpc-web"),
        (80, "grpc-web-a", "", "grpc-web"),
        (80, "grpc-a", "", "grpc"),
        (80, "http", "tcp", "tcp"),
        (80, "http", "kubernetes.io/h2c", "http2"),
        (80, "", "kubernetes.io/ws", "http"),
        (80, "", "kubernetes.io/wss", "https"),
        (80, "http", "shop.example/basket", ""),
        (3306, "", "", "tcp"),
        (27017, "web", "", "tcp"),
        (3306, "http", "", "http"),
    ],
)
def test_istio_takes_a_port_for(number: int, name: str, app_protocol: str, protocol: str) -> None:
    assert istio_protocol(number, name, app_protocol) == protocol


@pytest.mark.parametrize(
    ("number", "name", "protocol"),
    [
        (80, "", "auto"),
        (80, "http", "http"),
        (80, "http2", "h2c"),
        (80, "grpc", "grpc"),
        (80, "tls", "tls"),
        (443, "https", "https"),
        (80, "tcp-x", "tcp"),
        (6379, "redis", "tcp"),
        (27017, "mongo", "tcp"),
        (80, "mysql", "server-first"),
        (3306, "", "server-first"),
        (3306, "tcp", "server-first"),
        (25, "", "server-first"),
        (587, "smtp-out", "server-first"),
        (53, "", "tcp"),
    ],
)
def test_a_stand_in_speaks(number: int, name: str, protocol: str) -> None:
    assert standin_protocol(number, name) == protocol


POD = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  containers:
  - name: app
    ports:
    - {containerPort: 8080, name: web}
    - {containerPort: 9090, name: grpc}
    - {containerPort: 53, protocol: UDP}
---
"""


def service(name: str, ports: str, *, app: str = "web") -> str:
    spec = f"{{selector: {{app: {app}}}, ports: [{ports}]}}"
    return f"{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}, spec: {spec}}}\n---\n"


def ports(model: MeshModel) -> list[tuple[int, str]]:
    return standin_ports(model, model.pods[0])


def test_a_pod_alone_answers_on_the_ports_it_declares(build: Build) -> None:
    assert ports(build(POD)) == [(8080, "auto"), (9090, "grpc")]


def test_services_say_what_a_port_speaks_and_add_ports(build: Build) -> None:
    text = POD + service("a", "{port: 80, targetPort: web, name: http}, {port: 7000, name: tcp}")
    assert ports(build(text)) == [(7000, "tcp"), (8080, "http"), (9090, "grpc")]


def test_services_of_other_pods_say_nothing(build: Build) -> None:
    assert ports(build(POD + service("a", "{port: 1}", app="other"))) == [(8080, "auto"), (9090, "grpc")]


def test_a_port_that_services_disagree_about_finds_out(build: Build) -> None:
    text = POD + service("a", "{port: 9090, name: grpc}") + service("b", "{port: 9090, name: http}")
    assert ports(build(text)) == [(8080, "auto"), (9090, "auto")]


def test_istios_own_resources_lead_to_ports_too(build: Build) -> None:
    text = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a}
spec:
  hosts: [a.test]
  workloadSelector: {labels: {app: web}}
  ports: [{number: 80, targetPort: 8181, name: x, protocol: HTTP}]
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: b}
spec:
  ingress: [{port: {number: 7000, protocol: TCP, name: tcp}, defaultEndpoint: "127.0.0.1:7001"}]
"""
    assert ports(build(POD + text)) == [(7001, "tcp"), (8080, "auto"), (8181, "http"), (9090, "grpc")]
