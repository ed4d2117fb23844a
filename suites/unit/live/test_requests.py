from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.errors import ScenarioError
from meshtest.live.arguments import header_pairs
from meshtest.live.requests import (
    client_tls,
    find_caller,
    let_in,
    plain_request,
    protocol_of,
    replicas,
    shown_as,
)
from meshtest.mesh.model import PodKind
from meshtest.mesh.outside import outside_pod
from meshtest.traffic.model import ClientTls, Protocol
from meshtest.traffic.target import target_of
from suites.unit.live.conftest import pod, service

if TYPE_CHECKING:
    from meshtest.mesh.model import MeshModel

URL = "http://ratings:9080/"


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("reviews-v2", "default/reviews-v2-0"),
        ("reviews-v2-0", "default/reviews-v2-0"),
        ("default/reviews-v2", "default/reviews-v2-0"),
        ("default/reviews-v2-0", "default/reviews-v2-0"),
        ("b/batch", "b/batch-0"),
        ("legacy", "old/legacy-0"),
        ("ratings-v1", "default/ratings-v1-0"),
    ],
)
def test_a_caller_is_found_by_workload_or_pod(model: MeshModel, name: str, key: str) -> None:
    assert find_caller(model, name).key == key


@pytest.mark.parametrize("name", [None, 3, b"reviews-v2", ["reviews-v2"]])
def test_what_is_no_name_is_an_error(model: MeshModel, name: Any) -> None:
    with pytest.raises(ScenarioError, match="is no name; expected that of a workload, a Service or a pod"):
        find_caller(model, name)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("host", 3, "host: 3 is no text"),
        ("address", ["10.0.0.1"], "address: .* is no text"),
        ("headers", 3, "headers: 3 is no headers; expected {name: value}"),
        ("headers", "x: y", "headers: 'x: y' is no headers"),
        ("tls", 3, "tls: 3 is no TLS; expected True, ClientTls"),
        ("tls", {1: "a"}, "tls: .* is no TLS"),
        ("protocol", 3, "protocol: unknown protocol 3; expected one of"),
    ],
)
def test_arguments_of_another_type_are_errors(key: str, value: Any, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        plain_request(URL, {key: value})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("batch", "'batch' is in several namespaces; expected a/batch or b/batch"),
        (
            "review-v2",
            "no workload 'review-v2' in the mesh; expected one of *; did you mean 'default/reviews-v2'?",
        ),
        ("a/reviews-v2", "no workload 'a/reviews-v2' in the mesh; *did you mean 'default/reviews-v2'?"),
        ("", "no workload '' in the mesh; expected one of a/batch, *"),
    ],
    ids=["ambiguous", "misspelt", "other-namespace", "empty"],
)
def test_a_caller_that_is_not_there_is_an_error(model: MeshModel, name: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        find_caller(model, name)
    pytest.LineMatcher([str(caught.value)]).fnmatch_lines([message])


def test_outside_is_a_caller_unless_a_workload_has_the_name(model: MeshModel) -> None:
    assert find_caller(model, "outside").key == "outside"
    named = replace(model, pods=[*model.pods, replace(model.pods[0], name="outside-0", workload="outside")])
    assert find_caller(named, "outside").key == "default/outside-0"


@pytest.mark.parametrize(
    ("headers", "pairs"),
    [
        (None, ()),
        ({}, ()),
        ({"a": "1", "b": "2"}, (("a", "1"), ("b", "2"))),
        ({"a": ["1", "2"]}, (("a", "1"), ("a", "2"))),
        ([("a", "1"), ("b", "2"), ("a", "3")], (("a", "1"), ("b", "2"), ("a", "3"))),
        ({"x-number": 5, "x-true": True}, (("x-number", "5"), ("x-true", "True"))),
    ],
    ids=["none", "empty", "mapping", "several-values", "pairs", "not-text"],
)
def test_headers_become_pairs_in_order(headers: Any, pairs: object) -> None:
    assert header_pairs(headers) == pairs


@pytest.mark.parametrize(
    ("url", "protocol"),
    [
        ("http://a/", Protocol.HTTP),
        ("https://a/", Protocol.HTTPS),
        ("h2c://a/", Protocol.H2C),
        ("grpc://a/", Protocol.GRPC),
        ("tcp://a:1", Protocol.TCP),
        ("tls://a:1", Protocol.TLS),
        ("ws://a/", Protocol.WEBSOCKET),
        ("wss://a/", Protocol.WEBSOCKET),
        ("grpcs://a/", Protocol.GRPC),
    ],
)
def test_the_scheme_says_the_protocol(url: str, protocol: Protocol) -> None:
    assert protocol_of(url, None) is protocol


def test_a_protocol_that_is_given_wins() -> None:
    assert protocol_of("http://a/", "grpc") is Protocol.GRPC
    assert protocol_of("http://a/", Protocol.H2C) is Protocol.H2C


@pytest.mark.parametrize(
    ("url", "word", "protocol"),
    [
        ("http://a/", "http2", Protocol.H2C),
        ("https://a/", "HTTP/2", Protocol.H2),
        ("http://a/", "HTTP/1.1", Protocol.HTTP),
        ("http://a/", "ws", Protocol.WEBSOCKET),
    ],
    ids=["h2c", "h2", "http", "websocket"],
)
def test_other_words_for_protocols(url: str, word: str, protocol: Protocol) -> None:
    assert protocol_of(url, word) is protocol


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"url": "htp://a/"}, "url: unknown scheme in 'htp://a/'; expected one of *; did you mean 'http'?"),
        ({"url": "reviews"}, "url: unknown scheme in 'reviews'; expected one of *"),
        ({"protocol": "gprc"}, "protocol: unknown protocol 'gprc'; *; did you mean 'grpc'?"),
        (
            {"header": {}},
            "unknown argument 'header'; expected some of method, headers, *; did you mean 'headers'?",
        ),
        ({"tls": {"server": "a"}}, "tls: unknown key 'server'; expected some of server_name, *"),
        ({"url": None}, "url: None is no text; expected a text or bytes"),
        ({"method": None}, "method: None is no text; *"),
        ({"headers": "a: 1"}, "headers: 'a: 1' is no headers; expected {name: value} or pairs"),
        ({"headers": {"a": None}}, "headers.a: None is no value; expected a text, or none such header"),
        ({"body": ["a"]}, "body: a list is no body; *"),
        ({"timeout": -1}, "timeout: -1 is no time limit; expected seconds, or such as 500ms"),
        ({"timeout": "soon"}, "timeout: 'soon' is no time limit; *"),
        ({"port": 0}, "port: 0 is no port; *"),
    ],
    ids=[
        "scheme", "no-scheme", "protocol", "argument", "tls", "url", "method", "headers", "header", "body", "time",
        "soon", "port",
    ],
)  # fmt: skip
def test_a_wrong_argument_is_an_error_with_the_nearest(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        plain_request(fields.pop("url", URL), fields)
    pytest.LineMatcher([str(caught.value)]).fnmatch_lines([message])


def test_a_request_takes_what_the_driver_needs() -> None:
    request = plain_request(URL, {"headers": {"a": "1"}, "body": "grüße", "timeout": 2.0, "method": "POST"})
    assert (request.url, request.method, request.timeout) == (URL, "POST", 2.0)
    assert request.headers == (("a", "1"),)
    assert request.body == "grüße".encode()
    assert request.tls is None


def test_bytes_go_out_as_they_are() -> None:
    request = plain_request(
        b"http://a/\xff", {"headers": [(b"x", b"\xfe")], "method": b"GET", "body": "\udcff"}
    )
    assert target_of(request).path == b"/\xff"
    assert request.headers[0][1].encode("utf-8", "surrogateescape") == b"\xfe"
    assert (request.method, request.body) == ("GET", b"\xff")


def test_numbers_may_be_texts() -> None:
    request = plain_request(URL, {"timeout": "250ms", "port": "80"})
    assert (request.timeout, request.port) == (0.25, 80)


def test_a_certificate_of_the_mesh_joins_what_else_is_said_of_tls() -> None:
    chain, key = "-----BEGIN CERTIFICATE-----", "-----BEGIN PRIVATE KEY-----"
    issued = {"certificate": chain, "key": key}
    for tls in ({"alpn": "h2"}, ClientTls(alpn=("h2",))):
        assert shown_as(tls, issued) == ClientTls(alpn=("h2",), certificate=chain, key=key)
    assert shown_as(None, issued) == ClientTls(certificate=chain, key=key)


@pytest.mark.parametrize(
    "shape", [str, Path, str.encode, lambda text: ClientTls(ca=text)], ids=["text", "path", "bytes", "ready"]
)
def test_certificates_are_pem_or_the_names_of_files(shape: Any, tmp_path: Path) -> None:
    written = tmp_path / "ca.pem"
    text = "-----BEGIN CERTIFICATE-----\n"
    written.write_text(text, encoding="utf-8")
    given = shape(str(written))
    assert client_tls(given if isinstance(given, ClientTls) else {"ca": given}) == ClientTls(ca=text)
    assert client_tls({"ca": text.encode()}) == ClientTls(ca=text)


@pytest.mark.parametrize(
    ("tls", "message"),
    [
        (
            {"ca": "root.pem"},
            "tls.ca: no PEM at 'root.pem'; expected PEM, or the name of a file that holds it",
        ),
        ({"cert": 5}, "tls.certificate: no PEM at 5; *"),
        ({"ca": "-----BEGIN CERTIFICATE-----\nx"}, "tls: OpenSSL refuses it: *certificate*"),
        ({"certificate": "-----BEGIN CERTIFICATE-----\nx"}, "tls.key: a certificate without its key; *"),
        ({"min_version": "1.7"}, "tls: unknown TLS version '1.7'; expected 1.0, 1.1, 1.2 or 1.3"),
        ({"ciphers": "none-such"}, "tls: OpenSSL refuses it: *cipher*"),
    ],
    ids=["file", "number", "no-certificate", "no-key", "version", "cipher"],
)
def test_tls_that_no_client_could_have_is_told_before_anything_is_sent(
    tls: dict[str, Any], message: str
) -> None:
    with pytest.raises(ScenarioError) as caught:
        plain_request("https://a/", {"tls": tls})
    pytest.LineMatcher([str(caught.value)]).fnmatch_lines([message])


@pytest.mark.parametrize("body", [None, b"", ""])
def test_no_body_is_an_empty_one(body: object) -> None:
    assert plain_request(URL, {"body": body}).body == b""


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (None, None),
        (False, None),
        (True, ClientTls()),
        ({}, ClientTls()),
        ({"alpn": "h2"}, ClientTls(alpn=("h2",))),
        ({"alpn": ["h2", "http/1.1"]}, ClientTls(alpn=("h2", "http/1.1"))),
        ({"alpn": None}, ClientTls()),
        ({"sni": "a"}, ClientTls(server_name="a")),
        (ClientTls(server_name="a"), ClientTls(server_name="a")),
    ],
    ids=["none", "false", "true", "empty", "one-alpn", "alpns", "alpn-none", "sni", "ready"],
)
def test_tls_of_the_caller(given: Any, wanted: ClientTls | None) -> None:
    assert client_tls(given) == wanted


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("reviews-v1", ["default/reviews-v1-0"]),
        ("b/batch", ["b/batch-0"]),
        ("reviews-v2-0", ["default/reviews-v2-0"]),
        ("reviews", ["default/reviews-v1-0"]),
    ],
    ids=["workload", "elsewhere", "pod", "service-means-its-first-workload"],
)
def test_the_pods_of_a_workload(model: MeshModel, name: str, keys: list[str]) -> None:
    assert [pod.key for pod in replicas(model, name)] == keys


def test_all_replicas_of_a_workload_or_one_of_them(model: MeshModel) -> None:
    first = model.pods[0]
    second = replace(first, name="reviews-v1-1")
    more = replace(model, pods=(*model.pods, second))
    assert replicas(more, "reviews-v1") == [first, second]
    assert replicas(more, "default/reviews-v1-1") == [second]


def test_anybody_may_come_in_by_the_gateway(model: MeshModel) -> None:
    gateway = pod("ingress", "istio-system", kind=PodKind.GATEWAY)
    mesh = replace(model, pods=(*model.pods, gateway), services=(service("ingress", "istio-system"),))
    request = plain_request("http://shop.example/", {"address": "gateway"})
    asked = [let_in(mesh, caller, request).address for caller in (outside_pod(), pod("web"))]
    assert asked == ["ingress.istio-system.svc.cluster.local"] * 2


def test_a_service_that_is_called_gateway_is_the_one_that_is_meant(model: MeshModel) -> None:
    mesh = replace(model, services=(service("gateway"),))
    request = plain_request("http://shop.example/", {"address": "gateway"})
    assert let_in(mesh, pod("web"), request) == request
