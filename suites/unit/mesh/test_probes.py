from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.errors import ManifestError
from meshtest.mesh.probes import Probe

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.mesh.model import MeshModel

    Build = Callable[..., MeshModel]


def probed(build: Build, probe: str) -> Probe | None:
    text = f"""
apiVersion: v1
kind: Pod
metadata: {{name: web}}
spec:
  containers:
  - name: app
    image: app
    ports: [{{containerPort: 8080, name: http}}]
    readinessProbe: {probe}
"""
    return build(text).pods[0].containers[0].readiness


@pytest.mark.parametrize(
    ("text", "probe", "words"),
    [
        (
            "{httpGet: {port: http, path: health, httpHeaders: [{name: X-A, value: b}]}, timeoutSeconds: 0}",
            Probe(handler="httpGet", port=8080, path="/health", headers={"X-A": "b"}),
            "HTTP GET /health on port 8080",
        ),
        (
            "{httpGet: {port: 8443, scheme: HTTPS, host: db}}",
            Probe(handler="httpGet", port=8443, secure=True, host="db"),
            "HTTPS GET / on db:8443",
        ),
        (
            "{tcpSocket: {port: 1}, initialDelaySeconds: 2, periodSeconds: 3, timeoutSeconds: 4}",
            Probe(handler="tcpSocket", port=1, initial_delay=2, period=3, timeout=4),
            "a connection to port 1",
        ),
        (
            "{exec: {command: [cat, /ready]}, successThreshold: 2, failureThreshold: 5}",
            Probe(handler="exec", command=("cat", "/ready"), successes=2, failures=5),
            "cat /ready",
        ),
        (
            "{grpc: {port: 9, service: a}}",
            Probe(handler="grpc", port=9, service="a"),
            "gRPC health of 'a' on port 9",
        ),
    ],
)
def test_probes_with_kubernetes_defaults(build: Build, text: str, probe: Probe, words: str) -> None:
    found = probed(build, text)
    assert found == probe
    assert found.words == words


def test_no_probe(build: Build) -> None:
    assert probed(build, "null") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "{periodSeconds: 1}",
            "mesh.yaml:10: spec.containers[0].readinessProbe: no handlers; expected one of httpGet",
        ),
        ("{tcpSocket: {port: 1}, exec: {command: [a]}}", "2 handlers"),
        ("{htpGet: {port: 1}}", "readinessProbe.htpGet: unknown field; did you mean 'httpGet'?"),
        ("{httpGet: {port: htp}}", "the container has no port 'htp'; expected a number, or"),
        ("{httpGet: {port: 0}}", "httpGet.port: 0 is no port"),
        ("{httpGet: {port: 1, scheme: FTP}}", "httpGet.scheme: no scheme 'FTP'; expected HTTP or HTTPS"),
        ("{exec: {}}", "exec.command: missing"),
        ("{tcpSocket: {port: 1}, periodSeconds: -1}", "periodSeconds: -1 is too small"),
        ("{tcpSocket: {port: 1}, periodSeconds: fast}", "periodSeconds: 'fast' is not a whole number"),
    ],
)
def test_what_a_cluster_refuses(build: Build, text: str, message: str) -> None:
    with pytest.raises(ManifestError) as error:
        probed(build, text)
    assert message in str(error.value)
