"""What faults make of istiod's resources on their way to one proxy: old or weak TLS, and what Envoy refuses. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, tls_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from envoy.config.core.v3 import base_pb2

_VERSIONS = common_pb2.TlsParameters.TlsProtocol
_FIRST_MODERN = common_pb2.TlsParameters.TLSv1_2
_OF_OLD_VERSIONS = (
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES128-SHA",
    "AES128-SHA",
)
"""TLS 1.1 and older know none of the suites that Envoy offers by itself."""
_NOWHERE = "type.googleapis.com/meshtest.RejectedOnPurpose"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The newest TLS that a proxy speaks, as client and as server, and the only cipher suites."""

    max_version: str = ""
    cipher_suites: tuple[str, ...] = ()

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """From what the control plane is asked for."""
        return cls(
            max_version=told.get("max_version", ""), cipher_suites=tuple(told.get("cipher_suites", ()))
        )

    @property
    def newest(self) -> int:
        """As Envoy's enum; cipher suites can be chosen up to TLS 1.2 only."""
        return int(_VERSIONS.Value(self.max_version or "TLSv1_2"))


def limit_listener(listener: listener_pb2.Listener, limits: Limits) -> None:
    """Have every TLS of a listener's filter chains keep to the limits."""
    for chain in _chains(listener):
        _limit(chain.transport_socket, limits)


def limit_cluster(cluster: cluster_pb2.Cluster, limits: Limits) -> None:
    """Have every TLS to a cluster keep to the limits."""
    if cluster.HasField("transport_socket"):
        _limit(cluster.transport_socket, limits)
    for match in cluster.transport_socket_matches:
        _limit(match.transport_socket, limits)


def refusable(kind: str, raw: bytes) -> bytes:
    """The resource with a mistake in it for which every Envoy refuses it."""
    if kind == "LDS":
        listener = listener_pb2.Listener.FromString(raw)
        listener.listener_filters.add(name="meshtest.rejected").typed_config.type_url = _NOWHERE
        return bytes(listener.SerializeToString(deterministic=True))
    if kind == "CDS":
        cluster = cluster_pb2.Cluster.FromString(raw)
        cluster.connect_timeout.FromSeconds(-1)
        return bytes(cluster.SerializeToString(deterministic=True))
    if kind == "RDS":
        routes = route_pb2.RouteConfiguration.FromString(raw)
        for _ in range(2):  # Envoy asks for names of virtual hosts to be unique
            routes.virtual_hosts.add(name="meshtest.rejected", domains=["rejected.invalid"])
        return bytes(routes.SerializeToString(deterministic=True))
    return raw


def _chains(listener: listener_pb2.Listener) -> Iterator[listener_pb2.FilterChain]:
    yield from listener.filter_chains
    if listener.HasField("default_filter_chain"):
        yield listener.default_filter_chain


def _limit(socket: base_pb2.TransportSocket, limits: Limits) -> None:
    for made in (tls_pb2.DownstreamTlsContext, tls_pb2.UpstreamTlsContext):
        if socket.typed_config.Is(made.DESCRIPTOR):
            context = made.FromString(socket.typed_config.value)
            _narrow(context.common_tls_context.tls_params, limits)
            socket.typed_config.value = context.SerializeToString(deterministic=True)


def _narrow(params: common_pb2.TlsParameters, limits: Limits) -> None:
    params.tls_maximum_protocol_version = limits.newest
    old = limits.newest < _FIRST_MODERN
    if old:
        params.tls_minimum_protocol_version = common_pb2.TlsParameters.TLSv1_0
    elif params.tls_minimum_protocol_version > limits.newest:
        params.tls_minimum_protocol_version = limits.newest
    if limits.cipher_suites or old:
        params.cipher_suites[:] = limits.cipher_suites or _OF_OLD_VERSIONS
