"""The TLS in a transport socket, whatever it is wrapped in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envoy.extensions.transport_sockets.proxy_protocol.v3 import upstream_proxy_protocol_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from envoy.config.core.v3 import base_pb2

_CONTEXTS = (tls_pb2.UpstreamTlsContext, tls_pb2.DownstreamTlsContext)


def change_tls(socket: base_pb2.TransportSocket, change: Callable[[tls_pb2.CommonTlsContext], None]) -> None:
    """Change what a transport socket says about TLS, if it says something."""
    config = socket.typed_config
    if config.Is(upstream_proxy_protocol_pb2.ProxyProtocolUpstreamTransport.DESCRIPTOR):
        outer = upstream_proxy_protocol_pb2.ProxyProtocolUpstreamTransport.FromString(config.value)
        change_tls(outer.transport_socket, change)
        config.value = outer.SerializeToString(deterministic=True)
    for kind in _CONTEXTS:
        if config.Is(kind.DESCRIPTOR):
            context = kind.FromString(config.value)
            change(context.common_tls_context)
            config.value = context.SerializeToString(deterministic=True)
