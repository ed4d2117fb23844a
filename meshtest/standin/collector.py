"""Plays a collector of spans: Zipkin's `/api/v2/spans`, and OpenTelemetry's over gRPC and over HTTP.

Each span is noted in one form, whatever the protocol: `protocol`, `service`, `name`, `kind` (client, server, ...),
`traceId`, `spanId`, `parentId` (hexadecimal) and `tags`.
"""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

from meshtest.standin.facts import Decision
from meshtest.standin.service import Service

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Iterator

    from meshtest.standin.facts import Received

ZIPKIN = "/api/v2/spans"
OVER_HTTP = "/v1/traces"
SCOPES = "instrumentation_library_spans"
"""What the messages of xds-protos still call the field that is `scope_spans` today."""
OVER_GRPC = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


class Collector(Service):
    """Notes every span."""

    def decide(self, received: Received) -> Decision | Awaitable[Decision]:
        """Take spans over HTTP; those over gRPC come as messages."""
        if received.path.startswith("/_meshtest/") and received.connection.local:
            return super().decide(received)
        route = received.path.partition("?")[0]
        if route == ZIPKIN:
            self.notes.extend(_zipkin(json.loads(_plain(received))))
            return Decision(status=202, body=b"")
        if route == OVER_HTTP:
            self.notes.extend(_otlp(_plain(received)))
            return Decision(body=b"")
        return Decision() if route == OVER_GRPC else Decision(status=404, body=b"")

    def message(self, received: Received, decision: Decision) -> bytes:
        """An empty ExportTraceServiceResponse."""
        del decision
        if received.path == OVER_GRPC:
            self.notes.extend(_otlp(received.body))
        return b""


def _plain(received: Received) -> bytes:
    zipped = received.headers.get("content-encoding") == ["gzip"]
    return gzip.decompress(received.body) if zipped else received.body


def _zipkin(spans: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for span in spans:
        yield {
            "protocol": "zipkin",
            "service": (span.get("localEndpoint") or {}).get("serviceName", ""),
            "name": span.get("name", ""),
            "kind": str(span.get("kind", "")).lower(),
            "traceId": span.get("traceId", ""),
            "spanId": span.get("id", ""),
            "parentId": span.get("parentId", ""),
            "tags": span.get("tags") or {},
        }


def _otlp(exported: bytes) -> Iterator[dict[str, Any]]:
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2  # noqa: PLC0415 - only where it is spoken
    from opentelemetry.proto.trace.v1 import trace_pb2  # noqa: PLC0415 - as above

    kinds = trace_pb2.Span.SpanKind
    for resource in trace_service_pb2.ExportTraceServiceRequest.FromString(exported).resource_spans:
        about = _tags(resource.resource.attributes)
        for span in (span for part in getattr(resource, SCOPES) for span in part.spans):
            yield {
                "protocol": "otlp",
                "service": about.get("service.name", ""),
                "name": span.name,
                "kind": kinds.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
                "traceId": span.trace_id.hex(),
                "spanId": span.span_id.hex(),
                "parentId": span.parent_span_id.hex(),
                "tags": _tags(span.attributes),
            }


def _tags(attributes: Iterable[Any]) -> dict[str, str]:
    found = {}
    for each in attributes:
        which = each.value.WhichOneof("value")
        found[each.key] = str(getattr(each.value, which)) if which else ""
    return found
