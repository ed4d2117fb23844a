"""The Zipkin of a bootstrap, to which spans go that no Telemetry says anything about."""

from __future__ import annotations

from typing import Any

_ZIPKIN = {
    "@type": "type.googleapis.com/envoy.config.trace.v3.ZipkinConfig",
    "collector_cluster": "zipkin",
    "collector_endpoint": "/api/v2/spans",
    "collector_endpoint_version": "HTTP_JSON",
    "trace_id_128bit": True,
    "shared_span_context": False,
}
TRACING: dict[str, Any] = {"http": {"name": "envoy.tracers.zipkin", "typed_config": _ZIPKIN}}


def cluster(host: str, port: int) -> dict[str, Any]:
    """Where that Zipkin is."""
    return {
        "name": "zipkin",
        "type": "STRICT_DNS",
        "dns_lookup_family": "V4_ONLY",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": "zipkin",
            "endpoints": [
                {
                    "lb_endpoints": [
                        {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}}
                    ]
                }
            ],
        },
    }
