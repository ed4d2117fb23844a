"""What stands in for `istio.alpn`, the HTTP filter by which a sidecar tells the next one that HTTP follows.

Istio's own Envoy offers istio-http/1.1 (or istio-h2) in the handshake; inbound chains are chosen by it.
The stand-in offers the mesh's name of HTTP alone: with `h2` or `http/1.1` beside it the callee would settle
on one of them, whatever the cluster speaks; without, it looks at the first bytes.
"""

from __future__ import annotations

from envoy.config.core.v3 import base_pb2, substitution_format_string_pb2
from envoy.extensions.filters.common.set_filter_state.v3 import value_pb2
from envoy.extensions.filters.http.set_filter_state.v3 import set_filter_state_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

NAME = "istio.alpn"

_OFFERED = "istio-http/1.1,istio"
# istiod turns the override off in the metadata of clusters that speak TLS to somebody outside the mesh.
_EXPRESSION = (
    "has(xds.cluster_metadata.filter_metadata.istio)"
    " && has(xds.cluster_metadata.filter_metadata.istio.alpn_override)"
    " && xds.cluster_metadata.filter_metadata.istio.alpn_override == 'false'"
    f" ? '' : '{_OFFERED}'"
)


def alpn_filter() -> hcm_pb2.HttpFilter:
    """The HTTP filter that offers the mesh's ALPN towards every cluster that wants it."""
    form = substitution_format_string_pb2.SubstitutionFormatString(
        text_format_source=base_pb2.DataSource(inline_string=f"%CEL({_EXPRESSION})%")
    )
    value = value_pb2.FilterStateValue(
        object_key="envoy.network.application_protocols",
        format_string=form,
        skip_if_empty=True,
        shared_with_upstream=value_pb2.FilterStateValue.ONCE,
    )
    chosen = hcm_pb2.HttpFilter(name=NAME)
    chosen.typed_config.Pack(set_filter_state_pb2.Config(on_request_headers=[value]), deterministic=True)
    return chosen
