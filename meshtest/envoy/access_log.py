"""The access log that every listener, HTTP connection manager and TCP proxy writes as evidence.

One JSON object per HTTP request or TCP connection, into a FIFO that meshtest reads. Connections that no
filter chain took, that ended before one was chosen, or whose TLS handshake failed, only the listener knows; it
logs these and no others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.core.v3 import substitution_format_string_pb2 as substitution_pb2
from envoy.extensions.access_loggers.file.v3 import file_pb2
from envoy.extensions.access_loggers.filters.cel.v3 import cel_pb2

_NAME = "meshtest.evidence"
_HANDSHAKE_FAILED = "has(connection.transport_failure_reason)"

_NEVER_BEGUN = "!has(connection.id)"
"""Whoever called hung up while the listener still looked for the protocol."""

_COMMON = {
    "start": "%START_TIME(%s.%6f)%",
    "duration_ms": "%DURATION%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "termination": "%CONNECTION_TERMINATION_DETAILS%",
    "upstream_failure": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    "downstream_failure": "%DOWNSTREAM_TRANSPORT_FAILURE_REASON%",
    "cluster": "%UPSTREAM_CLUSTER_RAW%",
    "upstream": "%UPSTREAM_HOST%",
    "upstream_local": "%UPSTREAM_LOCAL_ADDRESS%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "downstream_remote": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "downstream_local": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "downstream_direct_remote": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%",
    "sni": "%REQUESTED_SERVER_NAME%",
    "peer": "%DOWNSTREAM_PEER_URI_SAN%",
    "local_identity": "%DOWNSTREAM_LOCAL_URI_SAN%",
    "tls": "%DOWNSTREAM_TLS_VERSION%",
    "upstream_peer": "%UPSTREAM_PEER_URI_SAN%",
    "upstream_tls": "%UPSTREAM_TLS_VERSION%",
    "bytes_in": "%BYTES_RECEIVED%",
    "bytes_out": "%BYTES_SENT%",
    "destination_rule": "%METADATA(CLUSTER:istio:config)%",
}
_HTTP = {
    "request_id": "%REQ(X-REQUEST-ID)%",
    "baggage": "%REQ(BAGGAGE)%",
    "traceparent": "%REQ(TRACEPARENT)%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "authority": "%REQ(:AUTHORITY)%",
    "protocol": "%PROTOCOL%",
    "status": "%RESPONSE_CODE%",
    "grpc_status": "%GRPC_STATUS_NUMBER%",
    "route": "%ROUTE_NAME%",
    "config": "%METADATA(ROUTE:istio:config)%",
    "attempt": "%REQ(X-ENVOY-ATTEMPT-COUNT)%",
    "mirrors": "%METADATA(ROUTE:meshtest:mirrors)%",
    "faults": "%DYNAMIC_METADATA(meshtest:faults)%",
    "xfcc": "%REQ(X-FORWARDED-CLIENT-CERT)%",
    "rbac": "%DYNAMIC_METADATA(envoy.filters.http.rbac)%",
}
_TCP = {**dict.fromkeys(_HTTP, ""), "rbac": "%DYNAMIC_METADATA(envoy.filters.network.rbac)%"}


@dataclass(frozen=True)
class Evidence:
    """The access logs of one side of one pod."""

    pod: str
    side: str
    path: str

    @cached_property
    def http(self) -> accesslog_pb2.AccessLog:
        """One line per HTTP request."""
        return self._log("http", {**_COMMON, **_HTTP})

    @cached_property
    def tcp(self) -> accesslog_pb2.AccessLog:
        """One line per connection that a TCP proxy took."""
        log = self._log("tcp", {**_COMMON, **_TCP})
        log.filter.CopyFrom(_when(f"!{_HANDSHAKE_FAILED}"))
        return log

    @cached_property
    def refused(self) -> accesslog_pb2.AccessLog:
        """One line per connection that no filter chain took, or whose handshake failed, or that ended before."""
        log = self._log("tcp", {**_COMMON, **_TCP})
        no_chain = accesslog_pb2.AccessLogFilter()
        no_chain.response_flag_filter.flags.append("NR")
        log.filter.or_filter.filters.extend((no_chain, _when(_HANDSHAKE_FAILED), _when(_NEVER_BEGUN)))
        return log

    def _log(self, layer: str, fields: dict[str, str]) -> accesslog_pb2.AccessLog:
        form = substitution_pb2.SubstitutionFormatString()
        form.json_format.update({"pod": self.pod, "side": self.side, "layer": layer})
        form.json_format.update({key: value or None for key, value in fields.items()})
        log = accesslog_pb2.AccessLog(name=_NAME)
        log.typed_config.Pack(file_pb2.FileAccessLog(path=self.path, log_format=form), deterministic=True)
        return log


def _when(expression: str) -> accesslog_pb2.AccessLogFilter:
    chosen = accesslog_pb2.AccessLogFilter()
    chosen.extension_filter.name = "envoy.access_loggers.extension_filters.cel"
    chosen.extension_filter.typed_config.Pack(
        cel_pb2.ExpressionFilter(expression=expression), deterministic=True
    )
    return chosen
