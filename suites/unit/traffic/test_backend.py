from __future__ import annotations

import json

import pytest

from meshtest.traffic.backend import parse_backend, workload_of

STAND_IN = {
    "workload": "reviews-v2",
    "namespace": "default",
    "pod": "reviews-v2-1",
    "method": "GET",
    "path": "/reviews/0",
    "host": "reviews:9080",
    "protocol": "HTTP/1.1",
    "headers": {"x-a": ["1", "2"]},
    "peerIdentity": "spiffe://cluster.local/ns/default/sa/productpage",
    "attempt": 2,
    "body": "aGk=",
    "calls": [{"url": "http://ratings:9080/", "status": 200, "body": None}],
}
ISTIO_ECHO = """ServiceVersion=v1
ServicePort=8090
Host=b.example
URL=/a//b?c
Namespace=echo
Method=POST
Proto=HTTP/2.0
IP=10.0.0.1
Sni=b.example
RequestHeader=X-Envoy-Attempt-Count:2
RequestHeader=X-Forwarded-Client-Cert:By=spiffe://td/ns/echo/sa/b;Hash=1;Subject="";URI=spiffe://td/ns/echo/sa/a
Hostname=b-v1-5d8f7c9b6d-x2x4z
"""
ECHO_BASIC = {
    "path": "/p",
    "host": "h",
    "method": "GET",
    "proto": "HTTP/1.1",
    "headers": {"X-Forwarded-Client-Cert": ["URI=spiffe://td/ns/n/sa/s"]},
    "namespace": "gateway-conformance-infra",
    "ingress": "",
    "service": "",
    "pod": "infra-backend-v1-7f9c8d6b5-abcde",
    "tls": {"serverName": "sni.example", "negotiatedProtocol": "h2"},
}


def test_reads_the_stand_in() -> None:
    found = parse_backend(json.dumps(STAND_IN).encode())
    assert found is not None
    assert (found.workload, found.namespace, found.attempt) == ("reviews-v2", "default", 2)
    assert (found.request.path, found.request.body, found.request.headers) == (
        "/reviews/0",
        b"hi",
        {"x-a": ["1", "2"]},
    )
    assert found.peer_identity.endswith("/sa/productpage")
    assert found.calls[0]["status"] == 200


def test_reads_the_line_before_a_tcp_echo() -> None:
    found = parse_backend(json.dumps(STAND_IN).encode() + b"\n{echo}\n")
    assert found is not None
    assert found.workload == "reviews-v2"


def test_reads_a_grpc_message() -> None:
    text = json.dumps(STAND_IN).encode()
    size = bytes([len(text) & 0x7F | 0x80, len(text) >> 7])
    message = b"\x0a" + size + text
    for found in (
        parse_backend(message, (message,), [("Content-Type", "application/grpc+proto")]),
        parse_backend(b"", (b"\x0a\x01x\x1a" + size + text,), [("content-type", "application/grpc")]),
    ):
        assert found is not None
        assert found.workload == "reviews-v2"


def test_reads_istios_echo_server() -> None:
    found = parse_backend(ISTIO_ECHO.encode())
    assert found is not None
    assert (found.workload, found.namespace, found.attempt) == ("b-v1", "echo", 2)
    assert found.peer_identity == "spiffe://td/ns/echo/sa/a"
    request = found.request
    assert (request.method, request.path, request.host, request.protocol, request.sni) == (
        "POST",
        "/a//b?c",
        "b.example",
        "HTTP/2.0",
        "b.example",
    )


def test_reads_the_pseudo_headers_that_istios_echo_server_prints_for_grpc() -> None:
    found = parse_backend(f"{ISTIO_ECHO}RequestHeader=:authority:b:7070\n".encode())
    assert found is not None
    assert found.request.headers[":authority"] == ["b:7070"]


def test_reads_the_gateway_api_echo_server() -> None:
    found = parse_backend(json.dumps(ECHO_BASIC).encode())
    assert found is not None
    assert (found.workload, found.pod) == ("infra-backend-v1", "infra-backend-v1-7f9c8d6b5-abcde")
    assert (found.request.sni, found.request.alpn) == ("sni.example", "h2")
    assert found.peer_identity == "spiffe://td/ns/n/sa/s"


@pytest.mark.parametrize(
    "body", [b"", b"RBAC: access denied", b"{", b'{"a": 1}', b"[]", b"\xff\xfe", b"ServiceVersion=1"]
)
def test_knows_nobody_in_other_text(body: bytes) -> None:
    assert parse_backend(body) is None


@pytest.mark.parametrize(
    ("pod", "workload"),
    [
        ("reviews-v1-5d8f7c9b6d-x2x4z", "reviews-v1"),
        ("db-0", "db"),
        ("agent-x2x4z", "agent"),
        ("plain", "plain"),
    ],
)
def test_a_pods_name_tells_its_workload(pod: str, workload: str) -> None:
    assert workload_of(pod) == workload
