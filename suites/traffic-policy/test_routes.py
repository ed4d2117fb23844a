"""What a VirtualService does to a request and its answer: headers, rewrites, redirects, CORS, own answers, faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh

pytestmark = pytest.mark.mesh("../../fixtures/bookinfo")

CALLER, URL = "reviews-v2", "http://ratings:9080/ratings/0"
RATINGS = [{"destination": {"host": "ratings"}}]


def route(mesh: Mesh, *http: dict[str, Any]) -> None:
    """Have these rules for ratings; one without an answer of its own goes there."""
    answers = {"route", "redirect", "directResponse"}
    rules = [rule if answers & rule.keys() else {**rule, "route": RATINGS} for rule in http]
    body = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "ratings", "namespace": "default"},
        "spec": {"hosts": ["ratings"], "http": rules},
    }
    mesh.apply(yaml.safe_dump(body))


def seen(one: Exchange, name: str) -> list[str]:
    """The values of a header as the application saw it."""
    assert one.backend is not None
    return list(one.backend.request.headers.get(name, ()))


def test_headers_are_set_added_and_removed_on_the_way(mesh: Mesh) -> None:
    change = {"set": {"x-set": "new"}, "add": {"x-add": "2"}, "remove": ["x-gone"]}
    route(mesh, {"headers": {"request": change}})
    one = mesh.request(CALLER, URL, headers={"x-set": "old", "x-add": "1", "x-gone": "1"})
    assert (seen(one, "x-set"), seen(one, "x-gone")) == (["new"], [])
    assert [value.strip() for each in seen(one, "x-add") for value in each.split(",")] == ["1", "2"]


def test_headers_of_the_answer(mesh: Mesh) -> None:
    route(mesh, {"headers": {"response": {"set": {"x-shop": "open"}, "remove": ["server"]}}})
    assert mesh.request(CALLER, URL).headers["x-shop"] == "open"


def test_the_headers_of_a_route_are_stronger_than_those_of_its_destination(mesh: Mesh) -> None:
    of_destination = [{**RATINGS[0], "headers": {"request": {"set": {"Host": "destination"}}}}]
    route(mesh, {"route": of_destination})
    one = mesh.request(CALLER, URL)
    assert one.backend is not None
    assert one.backend.request.host == "destination"
    route(mesh, {"route": of_destination, "headers": {"request": {"set": {":authority": "route"}}}})
    one = mesh.request(CALLER, URL)
    assert one.backend is not None
    assert one.backend.request.host == "route"


@pytest.mark.parametrize(
    ("match", "rewrite", "path", "arrives", "host"),
    [
        ({"exact": "/old"}, {"uri": "/new/path"}, "/old?key=value", "/new/path?key=value", "ratings:9080"),
        ({"prefix": "/old/"}, {"uri": "/new/"}, "/old/b", "/new/b", "ratings:9080"),
        ({"prefix": "/"}, {"authority": "other.example"}, "/old", "/old", "other.example"),
        (
            {"prefix": "/"},
            {"uriRegexRewrite": {"match": "^/v[0-9]+/(.*)$", "rewrite": "/\\1"}},
            "/v12/items",
            "/items",
            "ratings:9080",
        ),
    ],
    ids=["exact", "prefix", "authority", "regex"],
)
def test_a_rewrite(
    mesh: Mesh, match: dict[str, str], rewrite: dict[str, Any], path: str, arrives: str, host: str
) -> None:
    route(mesh, {"match": [{"uri": match}], "rewrite": rewrite})
    one = mesh.request(CALLER, f"http://ratings:9080{path}")
    assert one.backend is not None
    assert (one.backend.request.path, one.backend.request.host) == (arrives, host)


@pytest.mark.parametrize(
    ("redirect", "status", "location"),
    [
        ({"uri": "/new"}, 301, "http://ratings:9080/new?key=value"),
        ({"authority": "other.example", "redirectCode": 308}, 308, "http://other.example/old?key=value"),
        ({"scheme": "https", "port": 8443}, 301, "https://ratings:8443/old?key=value"),
    ],
    ids=["path", "host", "scheme-and-port"],
)
def test_a_redirect(mesh: Mesh, redirect: dict[str, Any], status: int, location: str) -> None:
    route(mesh, {"match": [{"uri": {"exact": "/old"}}], "redirect": redirect})
    one = mesh.request(CALLER, "http://ratings:9080/old?key=value")
    assert (one.status, one.headers["location"], one.backend) == (status, location, None)


def test_a_redirect_is_followed_where_that_is_asked(mesh: Mesh) -> None:
    route(mesh, {"match": [{"uri": {"exact": "/old"}}], "redirect": {"uri": "/new"}}, {})
    one = mesh.request(CALLER, "http://ratings:9080/old", follow_redirects=True)
    assert one.backend is not None
    assert (one.status, one.backend.request.path) == (200, "/new")
    assert one.redirects == ("http://ratings:9080/new",)


def test_an_answer_of_the_sidecar(mesh: Mesh) -> None:
    route(mesh, {"directResponse": {"status": 418, "body": {"string": "short and stout"}}})
    one = mesh.request(CALLER, URL)
    assert (one.status, one.body, one.backend) == (418, b"short and stout", None)
    assert [hop.side for hop in one.hops] == ["outbound"]


CORS = {
    "allowOrigins": [{"exact": "https://shop.example.com"}],
    "allowMethods": ["GET", "POST"],
    "allowHeaders": ["X-Cart"],
    "exposeHeaders": ["X-Total"],
    "maxAge": "24h",
}


def test_a_preflight_never_reaches_the_application(mesh: Mesh) -> None:
    route(mesh, {"corsPolicy": CORS})
    asked = {"Origin": "https://shop.example.com", "Access-Control-Request-Method": "POST"}
    one = mesh.request(CALLER, URL, method="OPTIONS", headers=asked)
    assert (one.status, one.backend) == (200, None)
    assert {name: one.headers[f"access-control-{name}"] for name in ("allow-origin", "allow-methods", "max-age")} == {
        "allow-origin": "https://shop.example.com",
        "allow-methods": "GET,POST",
        "max-age": "86400",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("origin", "allowed"), [("https://shop.example.com", "https://shop.example.com"), ("https://evil.example", None)]
)  # fmt: skip
def test_an_origin_is_told_whether_it_may_read(mesh: Mesh, origin: str, allowed: str | None) -> None:
    route(mesh, {"corsPolicy": CORS})
    one = mesh.request(CALLER, URL, headers={"Origin": origin})
    assert (one.status, one.headers.get("access-control-allow-origin")) == (200, allowed)


def test_a_fault_block_answers_in_place_of_the_application(mesh: Mesh) -> None:
    abort = {"abort": {"httpStatus": 503, "percentage": {"value": 100}}}
    route(mesh, {"match": [{"headers": {"end-user": {"exact": "jason"}}}], "fault": abort}, {})
    one = mesh.request(CALLER, URL, headers={"end-user": "jason"})
    assert (one.status, one.body, one.attempts or 0) == (503, b"fault filter abort", 0)
    assert one.hops[0].flags == "FI"
    assert mesh.request(CALLER, URL).status == 200


@pytest.mark.parametrize(
    ("match", "good", "bad"),
    [
        ({"method": {"exact": "POST"}}, {"method": "POST"}, {}),
        ({"headers": {"x-a": {"regex": "v[12]"}}}, {"headers": {"x-a": "v2"}}, {"headers": {"x-a": "v22"}}),
        ({"headers": {"x-a": {}}}, {"headers": {"x-a": ""}}, {}),
        ({"withoutHeaders": {"x-a": {"exact": "1"}}}, {}, {"headers": {"x-a": "1"}}),
        ({"queryParams": {"q": {"exact": "1"}}}, {"url": f"{URL}?q=1"}, {"url": f"{URL}?q=2"}),
        ({"uri": {"exact": "/RATINGS/0"}, "ignoreUriCase": True}, {}, {"url": "http://ratings:9080/RATINGS/1"}),
        ({"uri": {"prefix": "/rat"}}, {}, {"url": "http://ratings:9080/cat"}),
        ({"sourceLabels": {"app": "reviews"}}, {}, {"caller": "productpage-v1"}),
    ],
    ids=["method", "regex", "present", "without", "query", "case", "prefix", "caller"],
)  # fmt: skip
def test_what_a_rule_matches(
    mesh: Mesh, match: dict[str, Any], good: dict[str, Any], bad: dict[str, Any]
) -> None:
    route(mesh, {"match": [match], "directResponse": {"status": 299}}, {})
    for fields, status in ((good, 299), (bad, 200)):
        given = {"url": URL, "caller": CALLER, **fields}
        assert mesh.request(given.pop("caller"), given.pop("url"), **given).status == status
