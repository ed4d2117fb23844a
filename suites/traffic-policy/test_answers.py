"""What a VirtualService answers in place of the application: bodies, redirects, errors; and how long it waits first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.checks.statistics import window

if TYPE_CHECKING:
    from meshtest import Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop")

CLIENT = "shop/orders"
DIRECT = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog]
  http:
    - match: [{uri: {prefix: /bytes}}]
      directResponse: {status: 503, body: {bytes: iVBORw0KGgo=}}
      headers: {response: {set: {content-type: image/png}}}
    - directResponse: {status: 200, body: {string: open}}
"""
REDIRECTS = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog]
  http:
    - match: [{uri: {prefix: /old/}}]
      redirect: {prefixRewrite: /new/, redirectCode: 302}
    - match: [{uri: {prefix: /as-asked}}]
      redirect: {authority: books.example.com, derivePort: FROM_REQUEST_PORT}
    - match: [{uri: {prefix: /usual}}]
      redirect: {authority: books.example.com, scheme: https, derivePort: FROM_PROTOCOL_DEFAULT}
    - match: [{uri: {prefix: /kept}}]
      redirect: {uri: /whole}
"""
OTHER_HOST = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog]
  http:
    - match: [{uri: {prefix: /books}}]
      rewrite: {authority: books.example.com, uri: /all}
      route: [{destination: {host: catalog}}]
    - route: [{destination: {host: catalog}}]
"""
GRPC_ERROR = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog]
  http:
    - match: [{uri: {prefix: /library.Shelf/}}]
      fault: {abort: {grpcStatus: RESOURCE_EXHAUSTED, percentage: {value: 100}}}
      route: [{destination: {host: catalog, port: {number: 7070}}}]
    - route: [{destination: {host: catalog, port: {number: 7070}}}]
"""
SLOW = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog]
  http:
    - match: [{uri: {prefix: /all}}]
      fault: {delay: {fixedDelay: 300ms, percentage: {value: 100}}}
      route: [{destination: {host: catalog}}]
    - match: [{uri: {prefix: /some}}]
      fault: {delay: {fixedDelay: 30ms, percentage: {value: 25}}}
      route: [{destination: {host: catalog}}]
    - match: [{uri: {prefix: /few}}]
      fault: {delay: {fixedDelay: 30ms, percent: 25}}
      route: [{destination: {host: catalog}}]
    - route: [{destination: {host: catalog}}]
"""


def test_bodies_of_bytes_and_of_text(mesh: Mesh) -> None:
    mesh.apply(DIRECT)
    image, text = (mesh.request(CLIENT, f"http://catalog{path}") for path in ("/bytes", "/"))
    assert (image.status, image.body, image.headers["content-type"]) == (
        503,
        b"\x89PNG\r\n\x1a\n",
        "image/png",
    )
    assert (text.status, text.body) == (200, b"open")
    assert (image.backend, text.backend) == (None, None)


@pytest.mark.parametrize(
    ("asked", "status", "location"),
    [
        ("http://catalog:8080/old/book?page=2", 302, "http://catalog:8080/new/book?page=2"),
        ("http://catalog:8080/as-asked", 301, "http://books.example.com:8080/as-asked"),
        ("http://catalog/as-asked", 301, "http://books.example.com/as-asked"),
        ("http://catalog:8080/usual", 301, "https://books.example.com/usual"),
        ("http://catalog:8080/kept?page=2", 301, "http://catalog:8080/whole?page=2"),
    ],
)
def test_redirects_keep_what_they_do_not_change(mesh: Mesh, asked: str, status: int, location: str) -> None:
    mesh.apply(REDIRECTS)
    one = mesh.request(CLIENT, asked)
    assert (one.status, one.headers["location"], one.backend) == (status, location, None)


@pytest.mark.parametrize(
    ("path", "host", "arrives"), [("/books/1", "books.example.com", "/all/1"), ("/toys", "catalog", "/toys")]
)
def test_a_rewritten_host(mesh: Mesh, path: str, host: str, arrives: str) -> None:
    mesh.apply(OTHER_HOST)
    one = mesh.request(CLIENT, f"http://catalog{path}")
    assert one.backend is not None
    assert (one.backend.request.host, one.backend.request.path) == (host, arrives)


def test_an_error_in_grpc(mesh: Mesh) -> None:
    mesh.apply(GRPC_ERROR)
    failed, well = (
        mesh.request(CLIENT, f"grpc://catalog:7070/library.{name}/Find") for name in ("Shelf", "Desk")
    )
    assert (failed.grpc_status, failed.backend, failed.hops[0].flags) == (8, None, "FI")
    assert (well.grpc_status, well.backend is not None, well.hops[0].flags) == (0, True, "")


def test_a_delay_comes_before_the_answer(mesh: Mesh) -> None:
    mesh.apply(SLOW)
    slow, quick = (mesh.request(CLIENT, f"http://catalog{path}") for path in ("/all", "/none"))
    assert slow.latency >= 0.3
    assert (slow.status, slow.hops[0].flags) == (200, "DI")
    assert (quick.status, quick.hops[0].flags) == (200, "")


@pytest.mark.parametrize("path", ["/some", "/few"], ids=["percentage", "percent"])
def test_a_delay_meets_a_share(mesh: Mesh, path: str) -> None:
    mesh.apply(SLOW)
    found = mesh.send(CLIENT, f"http://catalog{path}", requests=300, concurrency=16).exchanges
    assert {one.status for one in found} == {200}
    assert sum(one.hops[0].flags == "DI" for one in found) in window(300, 0.25)
