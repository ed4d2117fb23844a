"""From a cluster to its endpoints, and the connections that an Envoy opens to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2

from meshtest.explain import metadata, policies, tls
from meshtest.explain.balancing import groups
from meshtest.explain.configuration import unpacked
from meshtest.explain.model import Way
from meshtest.explain.names import in_zone, is_address
from meshtest.explain.routes import without_port
from meshtest.mesh.injection import TPROXY, interception_mode
from meshtest.traffic.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest.explain.here import Here
    from meshtest.explain.model import Crossing
    from meshtest.explain.wire import Wire

_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_BY_NAME = frozenset((cluster_pb2.Cluster.STRICT_DNS, cluster_pb2.Cluster.LOGICAL_DNS))
NO_CLUSTER, NO_ENDPOINT = "cluster_not_found", "no_healthy_upstream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is to be sent to a cluster."""

    cluster: str
    wire: Wire
    alpn: tuple[str, ...] = ()
    """What the HTTP filters have offered in the handshake; empty: what the cluster says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Endpoint:
    address: str
    port: int
    raw: Any = None


def clusters_of(action: Any) -> list[tuple[float, str]]:
    """Shares and clusters of a TCP proxy."""
    if action.WhichOneof("cluster_specifier") != "weighted_clusters":
        return [(1.0, action.cluster)]
    weighted = [(one.weight, one.name) for one in action.weighted_clusters.clusters if one.weight]
    total = sum(weight for weight, _ in weighted) or 1
    return [(weight / total, name) for weight, name in weighted]


def forwarded(here: Here, target: Target, crossing: Crossing) -> Iterator[tuple[Crossing, list[Way]]]:
    """For each endpoint that may be chosen: the crossing that ends there, and the ways from it on."""
    crossing = replace(crossing, cluster=target.cluster)
    cluster = here.configuration.cluster(target.cluster)
    if cluster is None:
        yield replace(crossing, details=NO_CLUSTER), [_nothing(here, NO_CLUSTER)]
        return
    crossing = replace(crossing, cluster_by=_made_by(here, cluster))
    found = list(_endpoints(here, cluster, target.wire))
    if not found:
        yield replace(crossing, details=NO_ENDPOINT), [_nothing(here, NO_ENDPOINT)]
        return
    for share, endpoints in found:
        for endpoint in endpoints:
            yield _to(here, cluster, target, crossing, endpoint, share, len(endpoints))


def _nothing(here: Here, details: str) -> Way:
    return Way(outcome=Outcome.REFUSED, answered_by=here.pod.key, note=details.replace("_", " "))


def _made_by(here: Here, cluster: Any) -> Any:
    config = metadata.text(cluster.metadata, "istio", "config")
    return policies.routing(here.model, config, effect="configured") if config else None


def _to(
    here: Here,
    cluster: Any,
    target: Target,
    crossing: Crossing,
    endpoint: _Endpoint,
    share: float,
    among: int,
) -> tuple[Crossing, list[Way]]:
    http = target.wire.request is not None and crossing.layer == "http"
    offered = () if metadata.text(cluster.metadata, "istio", "alpn_override") == "false" else target.alpn
    name = _own_name(cluster, target.wire) if http else ""
    layer = tls.upstream(tls.socket_for(cluster, endpoint.raw), here.pod, offered, name)
    wire = replace(target.wire.to(endpoint.address, endpoint.port), source=_source(here, target.wire))
    if http:
        wire = replace(wire, spoken="h2c" if _is_http2(cluster) else "http/1.1")
    found = here.onward(here.pod, wire.wrapped(layer), to_application=here.side == "inbound")
    ways = [
        replace(way, share=None if way.share is None else way.share * share, one_of=way.one_of * among)
        for way in found
    ]
    at = f"{endpoint.address}:{endpoint.port}"
    return replace(crossing, endpoint=at, upstream_tls=tls.shown_upstream(layer)), ways


def _source(here: Here, wire: Wire) -> str:
    """The address that an Envoy calls from: the pod's, and at its own application as istiod's configuration has it."""
    if here.side != "inbound":
        return here.pod.ip
    return wire.source if interception_mode(here.pod) == TPROXY else "127.0.0.6"


def _options(cluster: Any) -> Any:
    packed = cluster.typed_extension_protocol_options
    if _OPTIONS not in packed:
        return None
    return unpacked(packed[_OPTIONS], http_protocol_options_pb2.HttpProtocolOptions)


def _is_http2(cluster: Any) -> bool:
    options = _options(cluster)
    return options is not None and options.explicit_http_config.HasField("http2_protocol_options")


def _own_name(cluster: Any, wire: Wire) -> str:
    """The SNI where a cluster takes it from the request."""
    options = _options(cluster)
    if options is None or wire.request is None or not options.upstream_http_protocol_options.auto_sni:
        return ""
    return without_port(wire.request.authority)


def _endpoints(here: Here, cluster: Any, wire: Wire) -> Iterator[tuple[float, list[_Endpoint]]]:
    """Groups of endpoints that the balancer chooses among, each with its share."""
    if cluster.type == cluster_pb2.Cluster.ORIGINAL_DST:
        port = cluster.original_dst_lb_config.upstream_port_override.value or wire.port
        yield 1.0, [_Endpoint(address=wire.address, port=port)]
        return
    assignment = cluster.load_assignment
    if cluster.type == cluster_pb2.Cluster.EDS:
        assignment = here.configuration.endpoints(cluster.eds_cluster_config.service_name or cluster.name)
    if assignment is None:
        return
    for share, chosen in groups(cluster, assignment):
        resolved = [one for each in chosen for one in _resolved(here, cluster, each)]
        if resolved:
            yield share, resolved


def _resolved(here: Here, cluster: Any, raw: Any) -> Iterator[_Endpoint]:
    socket = raw.endpoint.address.socket_address
    if is_address(socket.address):
        yield _Endpoint(address=socket.address, port=socket.port_value, raw=raw)
    elif cluster.type in _BY_NAME:
        found = in_zone(here.model, socket.address)
        for address in found[:1] if cluster.type == cluster_pb2.Cluster.LOGICAL_DNS else found:
            yield _Endpoint(address=address, port=socket.port_value, raw=raw)
