"""What stands in for `istio.alpn`, the HTTP filter by which a sidecar tells the next one that HTTP follows.

Istio's own Envoy offers istio-http/1.1 (or istio-h2) in the handshake; inbound chains are chosen by it.
The stand-in offers the mesh's name of HTTP alone: with `h2` or `http/1.1` beside it the callee would settle
on one of them, whatever the cluster speaks; without, it looks at the first bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from envoy.config.core.v3 import base_pb2, substitution_format_string_pb2
from envoy.extensions.filters.common.set_filter_state.v3 import value_pb2
from envoy.extensions.filters.http.set_filter_state.v3 import set_filter_state_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

if TYPE_CHECKING:
    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

NAME = "istio.alpn"

_OFFERED = "istio-http/1.1,istio"
# istiod turns the override off in the metadata of clusters that speak TLS to somebody outside the mesh.
_EXPRESSION = (
    "has(xds.cluster_metadata.filter_metadata.istio)"
    " && has(xds.cluster_metadata.filter_metadata.istio.alpn_override)"
    " && xds.cluster_metadata.filter_metadata.istio.alpn_override == 'false'"
    f" ? '' : '{_OFFERED}'"
)


def replace(filters: RepeatedCompositeFieldContainer[hcm_pb2.HttpFilter]) -> None:
    """Have the stand-in in place of `istio.alpn`, as the last before the router.

    There the route is known. Where it stood, a filter before it may just have undone the choice of one, as jwt_authn
    does for routes by claims; Istio's own has the route chosen anew, the stand-in would read no cluster.
    """
    places = [index for index, one in enumerate(filters) if one.name == NAME]
    if places:
        for index in reversed(places):
            del filters[index]
        filters.insert(len(filters) - 1, alpn_filter())


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
