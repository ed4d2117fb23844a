from __future__ import annotations

import pytest
from envoy.config.core.v3 import base_pb2
from envoy.extensions.transport_sockets.proxy_protocol.v3 import upstream_proxy_protocol_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2

from meshtest.envoy.patience import do_not_wait, names_files


def context(certificate: str, root: str) -> tls_pb2.UpstreamTlsContext:
    made = tls_pb2.UpstreamTlsContext()
    tls = made.common_tls_context
    tls.tls_certificate_sds_secret_configs.add(name=certificate)
    tls.combined_validation_context.validation_context_sds_secret_config.name = root
    return made


def waits(tls: tls_pb2.CommonTlsContext) -> list[int]:
    root = tls.combined_validation_context.validation_context_sds_secret_config
    return [
        secret.sds_config.initial_fetch_timeout.ToMilliseconds()
        for secret in (*tls.tls_certificate_sds_secret_configs, root)
    ]


@pytest.mark.parametrize(
    ("certificate", "root", "expected"),
    [
        ("file-cert:/c~/k", "file-root:/ca", [100, 100]),
        ("default", "file-root:system", [0, 100]),
        ("default", "ROOTCA", [0, 0]),
    ],
)
def test_files_are_there_at_once_or_not_at_all(certificate: str, root: str, expected: list[int]) -> None:
    socket = base_pb2.TransportSocket()
    socket.typed_config.Pack(context(certificate, root))
    assert names_files(socket.SerializeToString()) is any(expected)
    do_not_wait(socket)
    found = tls_pb2.UpstreamTlsContext.FromString(socket.typed_config.value)
    assert waits(found.common_tls_context) == expected


def test_behind_the_proxy_protocol_too() -> None:
    outer = upstream_proxy_protocol_pb2.ProxyProtocolUpstreamTransport()
    outer.transport_socket.typed_config.Pack(context("file-cert:/c~/k", "file-root:/ca"))
    socket = base_pb2.TransportSocket()
    socket.typed_config.Pack(outer)
    do_not_wait(socket)
    inner = upstream_proxy_protocol_pb2.ProxyProtocolUpstreamTransport.FromString(socket.typed_config.value)
    found = tls_pb2.UpstreamTlsContext.FromString(inner.transport_socket.typed_config.value)
    assert waits(found.common_tls_context) == [100, 100]


def test_what_is_no_tls_is_left_alone() -> None:
    socket = base_pb2.TransportSocket(name="raw")
    before = socket.SerializeToString()
    do_not_wait(socket)
    assert socket.SerializeToString() == before
