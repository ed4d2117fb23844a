"""What an Envoy is told at its start: who it is, where its control plane is, and a few listeners of its own.

Plain dictionaries, no protobuf: this is called in pytest's own process. The shape follows Istio's
`tools/packaging/common/envoy_bootstrap.json` wherever that changes what requests meet.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from meshtest.envoy import metrics, self_discovery, spans
from meshtest.mesh.addresses import PORT_PAST_AGENTS, RESOLVER
from meshtest.mesh.injection import TPROXY, interception_mode
from meshtest.mesh.names import file_name
from meshtest.mesh.own_ports import METRICS, PATHS, READINESS
from meshtest.mesh.proxy_config import knows_itself, proxy_name, zipkin_address

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.mesh.model import Pod

ISTIO_VERSION = "1.32.0"
SOCKET_MARK = 1337
"""The mark on everything Envoy sends itself; redirect rules let it pass."""
TPROXY_MARK = 1338
"""The same in TPROXY mode, where 1337 is on what Envoy sends in somebody's name (istio/istio: tools/istio-iptables)."""

FLAGS = (
    "--disable-hot-restart",
    "--drain-time-s", "0",
    "--drain-strategy", "immediate",
    "--log-level", "warning",
    "--file-flush-min-size-kb", "0",
    "--file-flush-interval-msec", "1000",
    "--skip-deprecated-logs",
)  # fmt: skip
"""What every Envoy is started with. Filter chains drain at once, so that pooled connections do not keep an old policy.

With a minimum of nothing every line of the access log is flushed when it is written; the interval is a spare wheel.
"""

_TYPES = "type.googleapis.com/"
_MANAGER = _TYPES + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = _TYPES + "envoy.extensions.filters.http.router.v3.Router"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_UNLIMITED = 100_000
_FEW_STATISTICS = {
    "stats_config": {"use_all_default_tags": False},
    "deferred_stat_options": {"enable_deferred_creation_stats": True},
}
"""Else an Envoy makes some hundred statistics per cluster, and matches twenty expressions against each one's name.

What is counted has its usual name in `/stats`; of a cluster that was not used yet, nothing is listed.
"""
_SPANS_AT_ONCE = {"tracing.zipkin.min_flush_spans": 1, "tracing.opentelemetry.min_flush_spans": 1}
"""Else an Envoy keeps spans for five seconds."""


def socket_path(directory: str, pod_key: str, purpose: str) -> str:
    """The path of a pod's `admin` or `probe` socket, or of its `access` log FIFO."""
    return f"{directory}/{file_name(pod_key)}.{purpose}"


def node_metadata(pod: Pod) -> dict[str, Any]:
    """What a pod's Envoy says of itself; istiod is given the same (istio/istio: pkg/model/proxy.go)."""
    metadata: dict[str, Any] = {
        "NAME": pod.name,
        "NAMESPACE": pod.namespace,
        "WORKLOAD_NAME": pod.workload,
        "SERVICE_ACCOUNT": pod.service_account,
        "LABELS": dict(pod.labels),
        "INSTANCE_IPS": pod.ip,
        "INTERCEPTION_MODE": interception_mode(pod),
        "CLUSTER_ID": "Kubernetes",
        "MESH_ID": pod.trust_domain,
        "ISTIO_VERSION": ISTIO_VERSION,
        "ENVOY_STATUS_PORT": READINESS,
        "ENVOY_PROMETHEUS_PORT": METRICS,
        "DNS_PROXY_ADDR": f"{RESOLVER}:53",
    }
    if pod.annotations:
        metadata["ANNOTATIONS"] = dict(pod.annotations)
    return metadata


def bootstrap(
    pod: Pod,
    *,
    directory: str,
    metadata: Mapping[str, Any] | None = None,
    socket_mark: int | None = SOCKET_MARK,
    resolver: str = RESOLVER,
    own_ports: bool = True,
    allow: int | None = None,
) -> str:
    """The bootstrap of a pod's Envoy as JSON.

    Args:
        pod: whose Envoy it is.
        directory: where the control plane's socket is and the pod's own sockets will be.
        metadata: `node_metadata(pod)` unless given.
        socket_mark: SO_MARK on what Envoy sends; None where Envoy may not set it.
        resolver: address of the cluster's name server.
        own_ports: whether it answers for itself to others; not where several share one network.
        allow: upper bound of downstream connections; None for no bound.
    """
    admin = _pipe(socket_path(directory, pod.key, "admin"))
    config: dict[str, Any] = {
        "node": _node(pod, node_metadata(pod) if metadata is None else metadata),
        "layered_runtime": {"layers": _runtime_layers(pod.proxy_config)},
        **_FEW_STATISTICS,
        "bootstrap_extensions": [_internal_listeners()],
        "admin": {"address": admin},
        "typed_dns_resolver_config": _resolver(resolver),
        "dynamic_resources": _dynamic_resources(),
        "cluster_manager": _cluster_manager(pod, socket_mark),
        "static_resources": {
            "clusters": [_control_plane(name, f"{directory}/xds.sock") for name in ("xds-grpc", "sds-grpc")],
            "listeners": [
                _answering("probe", _pipe(socket_path(directory, pod.key, "probe")), _ready({"prefix": "/"}))
            ],
        },
    }
    if own_ports:
        config["static_resources"]["clusters"].append(metrics.cluster(admin))
        config["static_resources"]["listeners"] += _own_listeners(pod)
    zipkin = zipkin_address(pod.proxy_config)
    if zipkin is not None:
        config["static_resources"]["clusters"].append(spans.cluster(*zipkin))
        config["tracing"] = spans.TRACING
    if knows_itself(pod):
        config["static_resources"]["clusters"].append(self_discovery.local_cluster())
    if allow is not None:
        config["overload_manager"] = _connection_bound(allow)
    return json.dumps(config, separators=(",", ":"))


def _cluster_manager(pod: Pod, socket_mark: int | None) -> dict[str, Any]:
    found: dict[str, Any] = {"enable_deferred_cluster_creation": True}
    if knows_itself(pod):
        found["local_cluster_name"] = self_discovery.NAME
    if socket_mark is not None:
        mark = TPROXY_MARK if interception_mode(pod) == TPROXY else socket_mark
        found["upstream_bind_config"] = {"socket_options": [_mark(mark)]}
    return found


def _node(pod: Pod, metadata: Mapping[str, Any]) -> dict[str, Any]:
    region, zone, sub_zone = [*pod.locality.split("/"), "", "", ""][:3]
    locality = {"region": region, "zone": zone, "sub_zone": sub_zone}
    return {
        "id": pod.node_id,
        "cluster": proxy_name(pod),
        "locality": {key: value for key, value in locality.items() if value},
        "metadata": dict(metadata),
    }


def _runtime_layers(proxy_config: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": "global config", "static_layer": _runtime_flags(proxy_config)},
        {"name": "admin", "admin_layer": {}},
    ]


def _runtime_flags(proxy_config: Mapping[str, Any]) -> dict[str, Any]:
    """istio/istio: pkg/bootstrap/config.go, extractRuntimeFlags."""
    flags: dict[str, Any] = {
        "re2.max_program_size.error_level": 32768,
        "envoy.reloadable_features.http_reject_path_with_fragment": False,
        "envoy.reloadable_features.fixed_heap_use_allocated": True,
        "envoy.reloadable_features.coalesce_lb_rebuilds_on_batch_update": False,
        **_SPANS_AT_ONCE,
    }
    for key, value in (proxy_config.get("runtimeValues") or {}).items():
        if value == "":
            flags.pop(key, None)
        else:
            flags[key] = {"true": True, "false": False}.get(value, value)
    return flags


def _resolver(ip: str) -> dict[str, Any]:
    """The cluster's, where it answers what the agent of a pod does not: its rules let Envoy's own questions pass."""
    name = "envoy.network.dns_resolver.cares"
    kind = "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig"
    address = {"address": ip, "port_value": PORT_PAST_AGENTS}
    return {
        "name": name,
        "typed_config": {"@type": _TYPES + kind, "resolvers": [{"socket_address": address}]},
    }


def _dynamic_resources() -> dict[str, Any]:
    over_ads = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
    return {
        "lds_config": over_ads,
        "cds_config": over_ads,
        "ads_config": {
            "api_type": "DELTA_GRPC",
            "set_node_on_first_message_only": True,
            "transport_api_version": "V3",
            "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc", "retry_policy": _soon_again()}}],
        },
    }


def _soon_again() -> dict[str, Any]:
    """Without it Envoy lets up to 30 s pass before it looks for its control plane again."""
    return {"retry_back_off": {"base_interval": "0.05s", "max_interval": "0.25s"}}


def _control_plane(name: str, path: str) -> dict[str, Any]:
    bounds = ("max_connections", "max_pending_requests", "max_requests")
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _pipe(path)}}]}],
        },
        "circuit_breakers": {
            "thresholds": [
                {"priority": priority, **dict.fromkeys(bounds, _UNLIMITED)}
                for priority in ("DEFAULT", "HIGH")
            ]
        },
        "typed_extension_protocol_options": {
            _HTTP_OPTIONS: {
                "@type": _TYPES + _HTTP_OPTIONS,
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
    }


def _own_listeners(pod: Pod) -> list[dict[str, Any]]:
    return [
        _answering("stats", _socket(metrics.address(pod), METRICS), metrics.ROUTE),
        _answering("readiness", _socket(metrics.ANYWHERE, READINESS), _ready({"path": PATHS[READINESS]})),
    ]


def _ready(match: Mapping[str, str]) -> dict[str, Any]:
    """A route that answers 200 by itself: one round trip on it goes through the worker thread."""
    return {"match": match, "direct_response": {"status": 200}}


def _answering(name: str, address: dict[str, Any], route: Mapping[str, Any]) -> dict[str, Any]:
    """A listener with one route, at which an Envoy answers for itself."""
    manager = {
        "@type": _MANAGER,
        "stat_prefix": name,
        "route_config": {
            "name": name,
            "virtual_hosts": [{"name": name, "domains": ["*"], "routes": [route]}],
        },
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": _ROUTER}}],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {
        "name": f"meshtest-{name}",
        "address": address,
        "ignore_global_conn_limit": True,
        "bypass_overload_manager": True,
        "filter_chains": [{"filters": filters}],
    }


def _internal_listeners() -> dict[str, Any]:
    kind = "envoy.extensions.bootstrap.internal_listener.v3.InternalListener"
    return {
        "name": "envoy.bootstrap.internal_listener",
        "typed_config": {"@type": _TYPES + kind, "buffer_size_kb": 64},
    }


def _connection_bound(bound: int) -> dict[str, Any]:
    kind = "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
    monitor = {
        "name": "envoy.resource_monitors.global_downstream_max_connections",
        "typed_config": {"@type": _TYPES + kind, "max_active_downstream_connections": bound},
    }
    return {"resource_monitors": [monitor]}


def _mark(value: int) -> dict[str, Any]:
    """SO_MARK (36) at SOL_SOCKET (1), before connecting."""
    return {"description": "mark", "level": 1, "name": 36, "int_value": value, "state": "STATE_PREBIND"}


def _socket(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def _pipe(path: str) -> dict[str, Any]:
    return {"pipe": {"path": path}}
