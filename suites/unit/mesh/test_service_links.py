from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.mesh.environment import environment_of
from meshtest.mesh.model import Service, ServicePort
from meshtest.mesh.service_links import service_links

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.mesh.model import MeshModel

    Build = Callable[..., MeshModel]

POD = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  enableServiceLinks: LINKS
  containers:
  - {name: app, image: app, env: [{name: URL, value: "http://$(DB_SERVICE_HOST):$(DB_SERVICE_PORT)"}]}
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {selector: {app: web}, ports: [{port: 81}], clusterIP: 10.96.7.7}
"""


def test_the_variables_of_a_service() -> None:
    ports = (ServicePort(number=6379, name="redis-main"), ServicePort(number=53, name="dns", protocol="UDP"))
    redis = Service(namespace="a", name="redis-main", ports=ports, cluster_ip="10.0.0.11")
    assert service_links([redis], "a") == {
        "REDIS_MAIN_SERVICE_HOST": "10.0.0.11",
        "REDIS_MAIN_SERVICE_PORT": "6379",
        "REDIS_MAIN_SERVICE_PORT_REDIS_MAIN": "6379",
        "REDIS_MAIN_SERVICE_PORT_DNS": "53",
        "REDIS_MAIN_PORT": "tcp://10.0.0.11:6379",
        "REDIS_MAIN_PORT_6379_TCP": "tcp://10.0.0.11:6379",
        "REDIS_MAIN_PORT_6379_TCP_PROTO": "tcp",
        "REDIS_MAIN_PORT_6379_TCP_PORT": "6379",
        "REDIS_MAIN_PORT_6379_TCP_ADDR": "10.0.0.11",
        "REDIS_MAIN_PORT_53_UDP": "udp://10.0.0.11:53",
        "REDIS_MAIN_PORT_53_UDP_PROTO": "udp",
        "REDIS_MAIN_PORT_53_UDP_PORT": "53",
        "REDIS_MAIN_PORT_53_UDP_ADDR": "10.0.0.11",
    }


def test_headless_services_and_those_of_other_namespaces_have_none() -> None:
    port = (ServicePort(number=80),)
    services = [
        Service(namespace="a", name="x", ports=port),
        Service(namespace="b", name="y", ports=port, cluster_ip="10.0.0.1"),
    ]
    assert service_links(services, "a") == {}


def test_they_are_there_for_references(build: Build) -> None:
    model = build(POD.replace("LINKS", "true"))
    found = environment_of(model, model.pods[0])
    assert found["URL"] == f"http://{found['DB_SERVICE_HOST']}:81"


def test_a_pod_may_want_none(build: Build) -> None:
    model = build(POD.replace("LINKS", "false"))
    assert environment_of(model, model.pods[0]) == {"URL": "http://$(DB_SERVICE_HOST):$(DB_SERVICE_PORT)"}
