"""What the matches of a VirtualService tell apart: each has a request that it takes and one that just misses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from meshtest import Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop")

NEAR, FAR = "shop/orders", "front/web"
"""Callers in the namespace of what they call, and in another one."""
HTTP = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog.shop.svc.cluster.local]
  http:
    - {name: method-prefix, match: [{uri: {exact: /a}, method: {prefix: P}}], directResponse: {status: 299}}
    - {name: method-regex, match: [{uri: {exact: /b}, method: {regex: GET|PUT}}], directResponse: {status: 299}}
    - {name: authority-exact, match: [{authority: {exact: catalog}}], directResponse: {status: 299}}
    - name: authority-regex
      match: [{uri: {exact: /c}, authority: {regex: "catalog[.]shop(:[0-9]+)?"}}]
      directResponse: {status: 299}
    - {name: header-prefix, match: [{headers: {x-a: {prefix: "v1."}}}], directResponse: {status: 299}}
    - name: without-prefix
      match: [{uri: {exact: /d}, withoutHeaders: {x-b: {prefix: "v1."}}}]
      directResponse: {status: 299}
    - name: without-regex
      match: [{uri: {exact: /e}, withoutHeaders: {x-b: {regex: "v[12]"}}}]
      directResponse: {status: 299}
    - {name: without-any, match: [{uri: {exact: /f}, withoutHeaders: {x-b: {}}}], directResponse: {status: 299}}
    - {name: query-prefix, match: [{queryParams: {q: {prefix: "v1."}}}], directResponse: {status: 299}}
    - {name: query-regex, match: [{queryParams: {r: {regex: "v[12]"}}}], directResponse: {status: 299}}
    - {name: uri-regex, match: [{uri: {regex: "/books/[0-9]+"}}], directResponse: {status: 299}}
    - name: namespace
      match: [{name: near, uri: {exact: /g}, sourceNamespace: shop}]
      directResponse: {status: 299}
    - {name: labels, match: [{uri: {exact: /h}, sourceLabels: {app: web}}], directResponse: {status: 299}}
    - name: any-of-two
      match: [{name: one, uri: {exact: /i}, headers: {x-c: {exact: "1"}}}, {name: two, uri: {exact: /j}}]
      directResponse: {status: 299}
    - {name: rest, route: [{destination: {host: catalog.shop.svc.cluster.local}}]}
"""


def headers(**values: str) -> dict[str, Any]:
    return {"headers": {name.replace("_", "-"): value for name, value in values.items()}}


@pytest.fixture
def routed(mesh: Mesh) -> Mesh:
    mesh.apply(HTTP)
    return mesh


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ("method-prefix", ("/a", {"method": "PATCH"}), ("/a", {"method": "GET"})),
        ("method-regex", ("/b", {"method": "PUT"}), ("/b", {"method": "POST"})),
        ("authority-exact", ("/", {"host": "catalog"}), ("/", {"host": "catalog.shop.svc"})),
        ("authority-regex", ("/c", {"host": "catalog.shop:80"}), ("/c", {"host": "catalog.shop.svc"})),
        ("header-prefix", ("/", headers(x_a="v1.2")), ("/", headers(x_a="1v1."))),
        ("without-prefix", ("/d", headers(x_b="v2.1")), ("/d", headers(x_b="v1.2"))),
        ("without-prefix", ("/d", {}), ("/d", headers(x_b="v1."))),
        ("without-regex", ("/e", headers(x_b="v3")), ("/e", headers(x_b="v2"))),
        ("without-regex", ("/e", headers(x_b="v22")), ("/e", headers(x_b="v1"))),
        ("without-any", ("/f", {}), ("/f", headers(x_b="any"))),
        ("query-prefix", ("/?q=v1.2", {}), ("/?q=v2.1", {})),
        ("query-regex", ("/?r=v2", {}), ("/?r=v22", {})),
        ("uri-regex", ("/books/12", {}), ("/books/12/pages", {})),
        ("any-of-two.one", ("/i", headers(x_c="1")), ("/i", {})),
        ("any-of-two.two", ("/j", {}), ("/k", {})),
    ],
)
def test_a_rule_takes_what_it_matches(
    routed: Mesh, rule: str, good: tuple[str, dict[str, Any]], bad: tuple[str, dict[str, Any]]
) -> None:
    taken, missed = (
        routed.request(NEAR, f"http://catalog.shop{path}", **fields) for path, fields in (good, bad)
    )
    assert (taken.status, taken.hops[0].route) == (299, rule)
    assert (missed.status, missed.hops[0].route) == (200, "rest")


@pytest.mark.parametrize(
    ("rule", "path", "good", "bad"), [("namespace.near", "/g", NEAR, FAR), ("labels", "/h", FAR, NEAR)]
)
def test_a_rule_is_for_some_callers(routed: Mesh, rule: str, path: str, good: str, bad: str) -> None:
    taken, missed = (routed.request(caller, f"http://catalog.shop{path}") for caller in (good, bad))
    assert (taken.status, taken.hops[0].route) == (299, rule)
    assert (missed.status, missed.hops[0].route) == (200, "rest")
