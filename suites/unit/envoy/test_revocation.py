from __future__ import annotations

from envoy.config.core.v3 import base_pb2
from envoy.extensions.transport_sockets.proxy_protocol.v3 import upstream_proxy_protocol_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2

from meshtest.envoy.revocation import give_lists, lists_in

LIST = "-----BEGIN X509 CRL-----\nMII\n-----END X509 CRL-----\n"
LISTS = lists_in({"/b.crl": LIST, "/a.pem": "-----BEGIN CERTIFICATE-----\n"})


def socket(context: tls_pb2.UpstreamTlsContext | tls_pb2.DownstreamTlsContext) -> base_pb2.TransportSocket:
    made = base_pb2.TransportSocket(name="tls")
    made.typed_config.Pack(context)
    return made


def names(path: str) -> tls_pb2.UpstreamTlsContext:
    context = tls_pb2.UpstreamTlsContext()
    combined = context.common_tls_context.combined_validation_context
    combined.default_validation_context.crl.filename = path
    return context


def held(found: base_pb2.TransportSocket) -> base_pb2.DataSource:
    context = tls_pb2.UpstreamTlsContext.FromString(found.typed_config.value)
    return context.common_tls_context.combined_validation_context.default_validation_context.crl


def test_lists_are_told_from_other_files() -> None:
    assert LISTS == (("/b.crl", LIST),)


def test_a_list_takes_the_place_of_its_name() -> None:
    found = socket(names("/b.crl"))
    give_lists(found, LISTS)
    assert held(found).inline_string == LIST


def test_below_the_proxy_protocol_too() -> None:
    outer = upstream_proxy_protocol_pb2.ProxyProtocolUpstreamTransport(
        transport_socket=socket(names("/b.crl"))
    )
    found = base_pb2.TransportSocket()
    found.typed_config.Pack(outer)
    give_lists(found, LISTS)
    outer.ParseFromString(found.typed_config.value)
    assert held(outer.transport_socket).inline_string == LIST


def test_a_file_that_nobody_mounts_is_envoys_to_find() -> None:
    found = socket(names("/c.crl"))
    before = found.SerializeToString()
    give_lists(found, LISTS)
    assert found.SerializeToString() == before


def test_of_clients_of_a_gateway() -> None:
    context = tls_pb2.DownstreamTlsContext()
    context.common_tls_context.validation_context.crl.filename = "/b.crl"
    found = socket(context)
    give_lists(found, LISTS)
    context.ParseFromString(found.typed_config.value)
    assert context.common_tls_context.validation_context.crl.inline_string == LIST
