"""Istio's own echo server as the application: what meshtest reads out of its answers.

MESHTEST_ISTIO_ECHO names the program; with Istio's source at hand it is built by

    cd meshtest/istiod/go && go build -o $MESHTEST_ISTIO_ECHO istio.io/istio/pkg/test/echo/cmd/server

Without it these tests are skipped.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from meshtest import Mesh

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE = "MESHTEST_ISTIO_ECHO"
PORTS = """
  - {name: http, port: 80, targetPort: 18080}
  - {name: auto-http, port: 81, targetPort: 18081}
  - {name: http-instance, port: 82, targetPort: 18082}
  - {name: http-localhost, port: 84, targetPort: 18084}
  - {name: grpc, port: 7070, targetPort: 17070}
  - {name: tcp, port: 9090, targetPort: 19090}
  - {name: tcp-server, port: 9091, targetPort: 16060}
"""
APPLICATION = """
apiVersion: v1
kind: Service
metadata: {name: %(name)s, namespace: echo}
spec:
  selector: {app: %(name)s}
  ports: %(ports)s
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: %(name)s-v1, namespace: echo}
spec:
  selector: {matchLabels: {app: %(name)s}}
  template:
    metadata: {labels: {app: %(name)s, version: v1}}
    spec:
      containers:
      - name: app
        image: app
        env:
        - {name: INSTANCE_IPS, valueFrom: {fieldRef: {fieldPath: status.podIPs}}}
---
"""
FLAGS = [
    "--port=18080",
    "--port=18081",
    "--port=18082",
    "--port=18084",
    "--bind-ip=18082",
    "--bind-localhost=18084",
    "--grpc=17070",
    "--tcp=19090",
    "--tcp=16060",
    "--server-first=16060",
    "--version=v1",
]
CALLER = "echo/a-v1"


@pytest.fixture(scope="module")
def echo() -> Iterator[Mesh]:
    program = os.environ.get(VARIABLE)
    if not program:
        pytest.skip(f"{VARIABLE} names no echo server")
    text = "".join(APPLICATION % {"name": name, "ports": PORTS} for name in ("a", "b"))
    commands = {f"echo/{name}-v1": [program, *FLAGS] for name in ("a", "b")}
    with Mesh.from_manifests(text, commands=commands) as mesh:
        yield mesh


@pytest.mark.mesh
def test_a_request_as_the_server_saw_it(echo: Mesh) -> None:
    one = echo.request(
        CALLER, "http://b/a//b?c=d", method="POST", host="b.echo", headers={"x-a": ["1", "2"]}, body="x"
    )
    assert one.backend is not None
    request = one.backend.request
    assert (one.backend.workload, one.backend.namespace, one.backend.pod) == ("b-v1", "echo", "b-v1-0")
    assert (request.method, request.path, request.host) == ("POST", "/a//b?c=d", "b.echo")
    assert request.headers["x-a"] == ["1", "2"]
    assert one.peer_identity == "spiffe://cluster.local/ns/echo/sa/default"


@pytest.mark.mesh
@pytest.mark.parametrize(
    ("url", "fields"),
    [
        ("http://b:81/", {}),
        ("http://b:82/", {}),
        ("h2c://b/", {}),
        ("grpc://b:7070/proto.EchoTestService/Echo", {"body": b"\x0a\x02hi"}),
        ("tcp://b:9090", {"body": "hello\n"}),
        ("tcp://b:9091", {"body": "hello\n", "server_first": True}),
        ("ws://b/", {"body": "hi", "headers": {"testwebsocket": "enabled"}}),
    ],
    ids=["sniffed", "bound-to-its-address", "h2c", "grpc", "tcp", "server-first", "websocket"],
)
def test_every_protocol_of_it(echo: Mesh, url: str, fields: dict[str, Any]) -> None:
    one = echo.request(CALLER, url, **fields)
    assert one.outcome == "response", one.error
    assert one.backend is not None
    assert (one.backend.workload, one.grpc_status or 0) == ("b-v1", 0)


@pytest.mark.mesh
def test_what_listens_on_localhost_alone_is_out_of_the_sidecars_reach(echo: Mesh) -> None:
    assert echo.request(CALLER, "http://b:84/").status == 503


@pytest.mark.mesh
def test_a_grpc_call_tells_its_authority(echo: Mesh) -> None:
    one = echo.request(CALLER, "grpc://b:7070/proto.EchoTestService/Echo", host="b.echo:7070")
    assert one.backend is not None
    assert one.backend.request.headers[":authority"] == ["b.echo:7070"]


@pytest.mark.mesh
@pytest.mark.parametrize(("codes", "status"), [("418", 418), ("503", 503), ("204", 204)])
def test_the_status_that_it_is_asked_for(echo: Mesh, codes: str, status: int) -> None:
    assert echo.request(CALLER, f"http://b/?codes={codes}").status == status
