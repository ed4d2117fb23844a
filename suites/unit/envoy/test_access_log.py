from __future__ import annotations

import contextlib
import socket
import ssl
from typing import Any

import pytest

Pair = Any  # conftest.py's; test folders are no packages


def raw(port: int, data: bytes = b"GET /raw HTTP/1.0\r\n\r\n") -> bytes:
    """What a TCP server says until it closes."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection, contextlib.suppress(OSError):
        connection.sendall(data)
        while chunk := connection.recv(65536):
            received += chunk
    return received


def test_every_contracted_key_is_there(mesh: Pair) -> None:
    mesh.get("/x", traceparent="00-1-1-00")
    line = mesh.bench.line(mesh.caller)
    wanted = """pod side layer start duration_ms request_id baggage traceparent method path authority protocol
        status
        grpc_status flags details termination upstream_failure downstream_failure route config cluster
        upstream
        upstream_local attempts attempt downstream_remote downstream_local downstream_direct_remote sni peer
        local_identity tls upstream_peer upstream_tls bytes_in bytes_out faults xfcc
        mirrors destination_rule rbac"""
    assert sorted(line) == sorted(wanted.split())
    assert (line["pod"], line["side"], line["layer"]) == ("default/caller-0", "outbound", "http")
    assert (line["upstream_peer"], line["cluster"]) == (mesh.callee.identity, "callee")
    assert line["traceparent"] == "00-1-1-00"
    inbound = mesh.bench.line(mesh.callee)
    assert inbound["side"] == "inbound"
    assert inbound["config"] == "/apis/x/virtual-service/y"
    assert inbound["request_id"] == line["request_id"]
    assert abs(float(inbound["start"]) - float(line["start"])) < 1


def test_denial_names_the_policy(mesh: Pair) -> None:
    mesh.bench.update((mesh.callee, [mesh.inbound(mesh.rbac("DENY"))]))
    assert mesh.get()[0] == 403
    details = mesh.bench.line(mesh.callee)["details"]
    assert details == "rbac_access_denied_matched_policy[ns[default]-policy[locked]-rule[0]]"


def test_tcp_connection_is_logged_once_on_each_side(mesh: Pair) -> None:
    assert raw(mesh.tcp_port).endswith(b"x" * 10)
    for one, side in ((mesh.caller, "outbound"), (mesh.callee, "inbound")):
        line = mesh.bench.line(one)
        assert (line["layer"], line["side"]) == ("tcp", side)
    mesh.get()
    for one in (mesh.caller, mesh.callee):
        mesh.bench.line(one, at_least=2)
        assert [line["layer"] for line in mesh.bench.lines(one)] == ["tcp", "http"]


@pytest.mark.parametrize("layer", ["http", "tcp"])
def test_failed_handshake_is_logged_once_by_both(mesh: Pair, layer: str) -> None:
    mesh.bench.channel.call("identity", timeout=10, proxy=mesh.caller.node_id, ca="unknown")
    if layer == "http":
        assert mesh.get()[0] == 503
        wanted = 3  # the caller retries twice
    else:
        raw(mesh.tcp_port)
        wanted = 1
    line = mesh.bench.line(mesh.callee, at_least=wanted)
    assert (line["layer"], line["side"]) == ("tcp", "inbound")
    assert "CERTIFICATE_VERIFY_FAILED" in line["downstream_failure"]
    assert line["peer"] in (None, mesh.caller.identity)
    caller = mesh.bench.line(mesh.caller)
    assert caller["layer"] == layer
    assert caller["upstream_failure"]
    assert len(mesh.bench.lines(mesh.callee)) == wanted


def test_plaintext_to_a_strict_port_is_logged_once(mesh: Pair) -> None:
    kind, strict = mesh.inbound()
    del strict["filter_chains"][2]
    mesh.bench.update((mesh.callee, [(kind, strict)]))
    raw(mesh.inbound_port)
    line = mesh.bench.line(mesh.callee)
    assert (line["layer"], line["flags"]) == ("tcp", "NR")
    assert line["details"] == "filter_chain_not_found"
    assert len(mesh.bench.lines(mesh.callee)) == 1


def test_a_caller_who_hangs_up_before_a_word_is_logged_once(mesh: Pair) -> None:
    with socket.create_connection(("127.0.0.1", mesh.inbound_port), timeout=5) as connection:
        port = connection.getsockname()[1]
    line = mesh.bench.line(mesh.callee)
    assert line["downstream_direct_remote"] == f"127.0.0.1:{port}"
    assert (line["layer"], line["cluster"]) == ("tcp", None)
    mesh.get()
    mesh.bench.line(mesh.callee, at_least=2)
    assert [one["layer"] for one in mesh.bench.lines(mesh.callee)] == ["tcp", "http"]


def test_client_without_certificate_is_logged_once(mesh: Pair) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["istio-http/1.1"])
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", mesh.inbound_port), 5) as connection,
        context.wrap_socket(connection) as wrapped,
    ):
        wrapped.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        wrapped.recv(1)
    line = mesh.bench.line(mesh.callee)
    assert "PEER_DID_NOT_RETURN_A_CERTIFICATE" in line["downstream_failure"]
    assert len(mesh.bench.lines(mesh.callee)) == 1


def test_tcp_denial_names_the_policy(mesh: Pair) -> None:
    mesh.bench.update((mesh.callee, [mesh.inbound(tcp=[mesh.network_rbac("DENY")])]))
    assert raw(mesh.tcp_port) == b""
    line = mesh.bench.line(mesh.callee)
    assert line["termination"] == "rbac_access_denied_matched_policy[ns[default]-policy[locked]-rule[0]]"
    assert len(mesh.bench.lines(mesh.callee)) == 1


def test_dead_upstream_is_told(mesh: Pair) -> None:
    mesh.application.shutdown()
    mesh.application.server_close()
    assert mesh.get()[0] == 503
    line = mesh.bench.line(mesh.callee)
    assert "UF" in line["flags"]
    assert "upstream_reset_before_response_started" in line["details"]
