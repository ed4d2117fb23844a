"""Every protocol between two sidecars and without one: what arrives, what comes back, and whether mTLS was used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from meshtest import Mesh

pytestmark = pytest.mark.mesh("../../fixtures/protocols")

ALICE, LEGACY = "shop/alice", "shop/legacy"
IDENTITY = "spiffe://cluster.local/ns/shop/sa/alice"


@pytest.mark.parametrize("caller", [ALICE, LEGACY])
@pytest.mark.parametrize(
    ("url", "fields"),
    [
        ("http://server.shop/", {}),
        ("h2c://server.shop:81/", {}),
        ("grpc://server.shop:82/a.Service/Method", {"body": b"\x0a\x02hi", "messages": 3}),
        ("tcp://server.shop:83", {"body": "hello\n"}),
        ("tls://server.shop:443", {"body": "hello\n"}),
        ("https://server.shop:443/", {}),
        ("ws://server.shop/chat", {"body": "hello", "messages": 3}),
    ],
    ids=["http", "h2c", "grpc", "tcp", "tls", "https", "websocket"],
)
def test_it_arrives(mesh: Mesh, caller: str, url: str, fields: dict[str, Any]) -> None:
    one = mesh.request(caller, url, **fields)
    assert one.outcome == "response", one.error
    assert one.backend is not None
    assert (one.backend.workload, one.backend.namespace, one.complete) == ("server", "shop", True)
    assert one.peer_identity == (IDENTITY if caller == ALICE else "")
    if "messages" in fields:
        assert len(one.messages) >= 3


def test_a_server_that_speaks_first_does_so_over_mtls_alone(mesh: Mesh) -> None:
    one = mesh.request(ALICE, "tcp://server.shop:84", server_first=True)
    assert one.backend is not None
    assert (one.backend.workload, one.peer_identity) == ("server", IDENTITY)
    # A PERMISSIVE port waits for the caller's first byte, by which it tells TLS from plaintext.
    assert mesh.request(LEGACY, "tcp://server.shop:84", server_first=True, timeout=1).outcome == "timeout"


def test_http_1_0_is_refused_where_http_is_declared(mesh: Mesh) -> None:
    one = mesh.request(ALICE, "http://server.shop/", protocol="http/1.0")
    assert (one.status, one.backend) == (426, None)


@pytest.mark.parametrize(
    ("path", "arrives"),
    [
        ("/a/../b", "/b"),
        ("/a//b", "/a//b"),
        ("/a%2Fb", "/a%2Fb"),
        ("/%41", "/A"),
        ("/a#b", "/a"),
        ("/?q=/../x", "/?q=/../x"),
    ],
)
def test_paths_leave_as_written_and_arrive_as_istio_normalises_them(
    mesh: Mesh, path: str, arrives: str
) -> None:
    one = mesh.request(ALICE, f"http://server.shop{path}")
    assert one.backend is not None
    assert one.backend.request.path == arrives
    plain = mesh.request(ALICE, "tcp://server.shop:83", body=f"GET {path}\n")
    assert f"GET {path}".encode() in plain.body


@pytest.mark.parametrize("path", [b"/\xff", b"/\x01"], ids=["not-ascii", "control"])
def test_bytes_that_are_no_path_are_refused_by_the_sidecar(mesh: Mesh, path: bytes) -> None:
    one = mesh.request(ALICE, b"http://server.shop" + path)
    assert (one.status, one.backend) == (400, None)


def test_repeated_headers_stay_apart(mesh: Mesh) -> None:
    one = mesh.request(ALICE, "http://server.shop/", headers=[("x-a", "1"), ("X-A", "2")])
    assert one.backend is not None
    assert one.backend.request.headers["x-a"] == ["1", "2"]


@pytest.mark.parametrize("protocol", ["http", "h2c"])
@pytest.mark.parametrize("size", [0, 1, 1_000_000])
def test_bodies_of_every_size(mesh: Mesh, protocol: str, size: int) -> None:
    one = mesh.request(ALICE, "http://server.shop/", method="POST", protocol=protocol, body=b"x" * size)
    assert one.backend is not None
    assert (one.status, len(one.backend.request.body)) == (200, size)


def test_a_chunked_body_arrives_whole(mesh: Mesh) -> None:
    one = mesh.request(
        ALICE,
        "http://server.shop/",
        method="POST",
        headers={"transfer-encoding": "chunked"},
        body="y" * 40_000,
    )
    assert one.backend is not None
    assert one.backend.request.body == b"y" * 40_000


@pytest.mark.parametrize("host", ["server.shop", "server.shop:80", "SERVER.shop", "stranger.example"])
def test_any_host_reaches_the_address_asked(mesh: Mesh, host: str) -> None:
    one = mesh.request(ALICE, "http://server.shop/", host=host)
    assert one.backend is not None
    assert one.backend.request.host == host
    assert one.peer_identity == ("" if host == "stranger.example" else IDENTITY)


@pytest.mark.parametrize(
    ("alpn", "status"), [(("istio-http/1.1",), 200), (("istio",), 200)], ids=["http", "any"]
)
def test_a_caller_may_show_a_certificate_of_its_own(mesh: Mesh, alpn: tuple[str, ...], status: int) -> None:
    other = "spiffe://cluster.local/ns/other/sa/other"
    one = mesh.request(
        LEGACY, "https://server.shop:80/", identity=other, tls={"alpn": alpn, "server_name": "any.name"}
    )
    assert (one.status, one.peer_identity) == (status, other)


@pytest.mark.parametrize(
    ("caller", "server", "attempt"), [(ALICE, "envoy", ["1"]), (LEGACY, "istio-envoy", None)]
)
def test_proxies_say_who_they_are(mesh: Mesh, caller: str, server: str, attempt: list[str] | None) -> None:
    """Of the callee's sidecar only those without one of their own hear."""
    one = mesh.request(caller, "http://server.shop/")
    assert one.backend is not None
    received = one.backend.request.headers
    assert (one.headers["server"], received["x-forwarded-proto"]) == (server, ["http"])
    assert received.get("x-envoy-attempt-count") == attempt
    assert len(received["x-request-id"]) == 1


FORWARDED = "By=spiffe://x/ns/a/sa/b;Hash=1;URI=spiffe://x/ns/c/sa/d"


@pytest.mark.parametrize("caller", [ALICE, LEGACY, "other"])
def test_whom_a_caller_calls_for_only_counts_with_a_certificate(mesh: Mesh, caller: str) -> None:
    """An application's word goes no further than its sidecar; who has a certificate of its own may be a proxy."""
    headers, other = {"x-forwarded-client-cert": FORWARDED}, "spiffe://cluster.local/ns/other/sa/other"
    if caller == "other":
        tls = {"alpn": ("istio-http/1.1",), "server_name": "any.name"}
        one = mesh.request(LEGACY, "https://server.shop:80/", identity=other, tls=tls, headers=headers)
    else:
        one = mesh.request(caller, "http://server.shop/", headers=headers)
    assert one.backend is not None
    told = [
        part
        for each in one.backend.request.headers.get("x-forwarded-client-cert", ())
        for part in each.split(",")
    ]
    callers = [part.rpartition("URI=")[2] for part in told]
    assert callers == {ALICE: [IDENTITY], LEGACY: [], "other": ["spiffe://x/ns/c/sa/d", other]}[caller]
