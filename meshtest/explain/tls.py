"""TLS as Envoys end and begin it: who shows which certificate, and who takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from envoy.extensions.transport_sockets.proxy_protocol.v3 import upstream_proxy_protocol_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2

from meshtest.explain import matching
from meshtest.explain.configuration import unpacked
from meshtest.explain.model import UpstreamTls
from meshtest.explain.truth import Truth, Unknown
from meshtest.explain.wire import Tls

if TYPE_CHECKING:
    from meshtest.explain.wire import Wire
    from meshtest.mesh.model import Pod

_OWN, _ROOT = "default", "ROOTCA"
"""istiod's names of a workload's certificate and of the mesh's root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """What became of one; a problem is why it fails."""

    peer: str = ""
    problem: str = ""
    condition: str = ""
    """What it rests on, where that is not known."""


def downstream(chain: Any) -> Any:
    """The TLS that a filter chain ends; None where it ends none."""
    if not chain.HasField("transport_socket"):
        return None
    return unpacked(chain.transport_socket.typed_config, tls_pb2.DownstreamTlsContext)


def shake(context: Any, pod: Pod, wire: Wire) -> Handshake:
    """The handshake of whoever connects with an Envoy's filter chain."""
    if not wire.layers:
        return Handshake(problem="plaintext where TLS is expected")
    layer = wire.layers[0]
    shown = _shown(context.common_tls_context, pod)
    taken = _takes_server(layer, shown)
    if taken is False:
        return Handshake(problem=f"the client does not take the server's certificate ({shown})")
    peer = _client(context, layer)
    if peer.problem or not isinstance(taken, Unknown):
        return peer
    return Handshake(peer=peer.peer, condition=taken.reason)


def _takes_server(layer: Tls, shown: str) -> Truth:
    if layer.trusts is None:
        return True
    if not shown.startswith("spiffe://"):
        return Unknown(f"if the client takes the certificate {shown}")
    if not layer.trusts_mesh:
        return Unknown("if the client takes certificates of the mesh")
    return matching.names(layer.trusts, shown)


def _client(context: Any, layer: Tls) -> Handshake:
    if not context.require_client_certificate.value:
        return Handshake(peer=layer.identity)
    if layer.foreign:
        return Handshake(condition=f"if the server takes {layer.foreign}")
    if not layer.identity:
        return Handshake(problem="no client certificate where one is required")
    matchers, _ = _validation(context.common_tls_context)
    taken = matching.names(matchers or (), layer.identity)
    if taken is False:
        return Handshake(problem=f"the server does not take the client's identity {layer.identity}")
    return Handshake(peer=layer.identity)


def _shown(common: Any, pod: Pod) -> str:
    """The identity of a certificate, or the name of its secret where that says nothing of it; empty for none."""
    secrets = [one.name for one in common.tls_certificate_sds_secret_configs]
    if not secrets:
        return "of files" if len(common.tls_certificates) else ""
    return pod.identity if secrets[0] == _OWN else secrets[0]


def _validation(common: Any) -> tuple[list[Any] | None, bool]:
    """Matchers of the other side's names (None: nothing is verified), and whether the mesh's root vouches."""
    kind = common.WhichOneof("validation_context_type")
    if kind is None:
        return None, False
    root = ""
    if kind == "combined_validation_context":
        context = common.combined_validation_context.default_validation_context
        root = common.combined_validation_context.validation_context_sds_secret_config.name
    elif kind == "validation_context":
        context = common.validation_context
    else:
        return [], bool(common.validation_context_sds_secret_config.name == _ROOT)
    typed = [one.matcher for one in context.match_typed_subject_alt_names]
    return [*typed, *context.match_subject_alt_names], root == _ROOT


def socket_for(cluster: Any, endpoint: Any) -> Any:
    """The transport socket of an endpoint, by the metadata that it carries."""
    marked = endpoint.metadata.filter_metadata if endpoint is not None else {}
    fields = marked["envoy.transport_socket_match"].fields if "envoy.transport_socket_match" in marked else {}
    for candidate in cluster.transport_socket_matches:
        wanted = candidate.match.fields
        if all(name in fields and fields[name] == value for name, value in wanted.items()):
            return candidate.transport_socket
    return cluster.transport_socket if cluster.HasField("transport_socket") else None


def upstream(socket: Any, pod: Pod, alpn: tuple[str, ...], authority: str) -> Tls | None:
    """The TLS that an Envoy begins with a transport socket; None for plaintext.

    `alpn` is what is offered where the socket's own list is not used, `authority` the SNI where none is given.
    """
    if socket is None:
        return None
    wrapped = unpacked(socket.typed_config, upstream_proxy_protocol_pb2.ProxyProtocolUpstreamTransport)
    if wrapped is not None:
        return upstream(wrapped.transport_socket, pod, alpn, authority)
    context = unpacked(socket.typed_config, tls_pb2.UpstreamTlsContext)
    if context is None:
        return None
    common = context.common_tls_context
    shown = _shown(common, pod)
    trusts, by_mesh = _validation(common)
    own = shown if shown.startswith("spiffe://") else ""
    return Tls(
        sni=context.sni or authority,
        alpn=alpn or tuple(common.alpn_protocols),
        identity=own,
        foreign="" if own or not shown else f"the certificate {shown}",
        trusts=None if trusts is None else tuple(trusts),
        trusts_mesh=by_mesh,
    )


def shown_upstream(found: Tls | None) -> UpstreamTls | None:
    """For people."""
    return None if found is None else UpstreamTls(sni=found.sni, identity=found.identity or found.foreign)
