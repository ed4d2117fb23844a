"""Providers of spans and of log lines as MeshConfig describes them, and those that hold where none is named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh

pytestmark = pytest.mark.mesh("../../fixtures/bookinfo", "../../fixtures/collector")

CALLER, URL = "reviews-v2", "http://ratings:9080/ratings/0"
TRACED = """
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: mesh, namespace: istio-system}
spec:
  tracing: [{randomSamplingPercentage: 100, customTags: {long: {literal: {value: 0123456789abcdef}}}}]
"""
LOGGED = """
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: mesh, namespace: istio-system}
spec: {accessLogging: [{providers: [{name: own}]}]}
"""
LONG = """
defaultProviders: {tracing: [zipkin]}
extensionProviders:
  - name: zipkin
    zipkin: {service: collector.tracing.svc.cluster.local, port: 9411, enable64bitTraceId: false}
"""
SHORT = """
defaultProviders: {tracing: [zipkin]}
extensionProviders:
  - name: zipkin
    zipkin:
      service: collector.tracing.svc.cluster.local
      port: 9411
      path: /api/v2/spans
      enable64bitTraceId: true
      traceContextOption: USE_B3_WITH_W3C_PROPAGATION
"""
TEXT = """
extensionProviders:
  - name: own
    envoyFileAccessLog:
      path: /dev/stdout
      logFormat: {text: "own %REQ(X-REQUEST-ID)% %RESPONSE_CODE% %REQ(X-NONE)%\\n"}
"""
LABELS = """
extensionProviders:
  - name: own
    envoyFileAccessLog:
      path: /dev/stdout
      logFormat: {labels: {id: "%REQ(X-REQUEST-ID)%", status: "%RESPONSE_CODE%", none: "%REQ(X-NONE)%"}}
      omitEmptyValues: true
"""
BY_DEFAULT = """
defaultProviders: {accessLogging: [own]}
extensionProviders:
  - {name: own, envoyFileAccessLog: {path: /dev/stdout, logFormat: {text: "own %REQ(X-REQUEST-ID)%\\n"}}}
"""


def asked(mesh: Mesh) -> Exchange:
    (one,) = mesh.collect(mesh.send(CALLER, URL, requests=1)).exchanges
    return one


def lines(mesh: Mesh) -> list[str]:
    return [line.text for line in asked(mesh).access_log or ()]


def test_spans_of_zipkin(mesh: Mesh) -> None:
    mesh.replace(TRACED, mesh_config=LONG)
    one = asked(mesh)
    assert {len(span.trace_id) for span in one.spans or ()} == {32}
    assert one.backend is not None
    assert "traceparent" not in one.backend.request.headers
    mesh.replace(TRACED, mesh_config=SHORT)
    one = asked(mesh)
    assert {len(span.trace_id) for span in one.spans or ()} == {16}
    assert one.backend is not None
    assert "traceparent" in one.backend.request.headers


def test_lines_of_text_and_of_labels(mesh: Mesh) -> None:
    mesh.replace(LOGGED, mesh_config=TEXT)
    first, second = lines(mesh)
    assert (first.split()[0], first.split()[2:], second.split()[2:]) == ("own", ["200", "-"], ["200", "-"])
    mesh.replace(LOGGED, mesh_config=LABELS)
    told = [json.loads(line) for line in lines(mesh)]
    assert [{"status": each["status"], "none": each.get("none")} for each in told] == [
        {"status": 200, "none": None}
    ] * 2


def test_a_provider_by_default(mesh: Mesh) -> None:
    assert lines(mesh) == []
    mesh.replace(mesh_config=BY_DEFAULT)
    assert [line.split()[0] for line in lines(mesh)] == ["own", "own"]
