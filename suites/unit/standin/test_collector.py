"""The collector, fed as Envoy's tracers feed it."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from meshtest.standin.collector import OVER_GRPC

if TYPE_CHECKING:
    from suites.unit.standin.conftest import StandIn, Start

ZIPKIN = {
    "traceId": "0af7", "id": "b7ad", "parentId": "00f0", "name": "ratings:9080/*", "kind": "SERVER",
    "localEndpoint": {"serviceName": "ratings.default"}, "tags": {"http.status_code": "200"},
}  # fmt: skip


@pytest.fixture
def collector(start: Start) -> StandIn:
    return start(plays="collector")


def noted(standin: StandIn) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = json.loads(standin.ask("/_meshtest/received").body)
    return told


def exported() -> bytes:
    request = trace_service_pb2.ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    name = resource.resource.attributes.add(key="service.name")
    name.value.string_value = "ratings.default"
    span = resource.instrumentation_library_spans.add().spans.add(
        trace_id=b"\x0a\xf7", span_id=b"\xb7\xad", parent_span_id=b"\x00\xf0", name="GET", kind=3
    )
    span.attributes.add(key="http.status_code").value.string_value = "200"
    return bytes(request.SerializeToString())


@pytest.mark.parametrize("zipped", [False, True])
def test_zipkins_spans(collector: StandIn, zipped: bool) -> None:  # noqa: FBT001 - a case
    body = json.dumps([ZIPKIN]).encode()
    headers = {"content_encoding": "gzip"} if zipped else {}
    sent = gzip.compress(body) if zipped else body
    answer = collector.ask("/api/v2/spans", method="POST", body=sent, **headers)
    assert (answer.status, answer.body) == (202, b"")
    assert noted(collector) == [
        {
            "protocol": "zipkin", "service": "ratings.default", "name": "ratings:9080/*", "kind": "server",
            "traceId": "0af7", "spanId": "b7ad", "parentId": "00f0", "tags": {"http.status_code": "200"},
        }
    ]  # fmt: skip


def test_opentelemetrys_spans_over_http_and_over_grpc(collector: StandIn) -> None:
    assert collector.ask("/v1/traces", method="POST", body=exported()).status == 200
    channel: Any  # grpcio's stubs know no calls without serializers
    with grpc.insecure_channel(f"127.0.0.1:{collector.port}") as channel:
        ask = channel.unary_unary(OVER_GRPC)
        assert ask(exported()) == b""
    first, second = noted(collector)
    assert first == second
    assert first == {
        "protocol": "otlp", "service": "ratings.default", "name": "GET", "kind": "client",
        "traceId": "0af7", "spanId": "b7ad", "parentId": "00f0", "tags": {"http.status_code": "200"},
    }  # fmt: skip


def test_anything_else_is_not_found(collector: StandIn) -> None:
    assert collector.ask("/v1/metrics", method="POST", body=b"").status == 404
    assert noted(collector) == []
