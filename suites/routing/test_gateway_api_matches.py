"""Which rule of an HTTPRoute or GRPCRoute on a Service takes a request: every kind of match, and what precedes what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from meshtest import Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop")

CLIENT = "shop/orders"
OLD, NEW = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"


def route(
    rules: dict[str, list[dict[str, Any]]], name: str = "catalog", created: str = OLD, kind: str = "HTTPRoute"
) -> str:
    """A route on the Service; each rule says in a header of the answer which it was."""
    backends = [{"name": "catalog", "port": 7070 if kind == "GRPCRoute" else 80}]

    def marked(mark: str) -> dict[str, Any]:
        header = {"set": [{"name": "x-rule", "value": mark}]}
        return {"type": "ResponseHeaderModifier", "responseHeaderModifier": header}

    spec = {
        "parentRefs": [{"group": "", "kind": "Service", "name": "catalog"}],
        "rules": [
            {"matches": matches, "filters": [marked(mark)], "backendRefs": backends}
            for mark, matches in rules.items()
        ],
    }
    metadata = {"name": name, "namespace": "shop", "creationTimestamp": created}
    made = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": kind, "metadata": metadata, "spec": spec}
    return f"---\n{yaml.safe_dump(made)}"


def path(value: str, kind: str = "PathPrefix") -> dict[str, Any]:
    """A match of a path."""
    return {"path": {"type": kind, "value": value}}


def taken(mesh: Mesh, url: str = "/", method: str = "GET", **headers: str) -> str | int | None:
    """Which rule took it, else the status."""
    one = mesh.request(CLIENT, f"http://catalog{url}", method=method, headers=headers)
    return one.headers.get("x-rule") if one.status == 200 else one.status


KINDS: dict[str, list[dict[str, Any]]] = {
    "exact": [path("/exact", "Exact")],
    "prefix": [path("/prefix/")],
    "regex": [path("/r[0-9]+/[a-z]*", "RegularExpression")],
    "header": [path("/h") | {"headers": [{"name": "X-Color", "value": "red"}]}],
    "header-regex": [path("/h") | {"headers": [{"type": "RegularExpression", "name": "x-size", "value": "[0-9]+"}]}],
    "headers": [path("/hh") | {"headers": [{"name": "x-a", "value": "1"}, {"name": "x-b", "value": "2"}]}],
    "query": [path("/q") | {"queryParams": [{"name": "animal", "value": "whale"}]}],
    "query-regex": [path("/q") | {"queryParams": [{"type": "RegularExpression", "name": "count", "value": "[0-9]+"}]}],
    "method": [path("/m") | {"method": "PUT"}],
    "either": [path("/one", "Exact"), path("/two") | {"method": "POST"}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ("GET /exact", "exact"),
        ("GET /exact?query=any", "exact"),
        ("GET /exact/", 404),
        ("GET /EXACT", 404),
        ("GET /prefix", "prefix"),
        ("GET /prefix/", "prefix"),
        ("GET /prefix/a/b", "prefix"),
        ("GET /prefixed", 404),
        ("GET /r7/abc", "regex"),
        ("GET /r7/abc/", 404),
        ("GET /x/r7/abc", 404),
        ("GET /h x-color=red", "header"),
        ("GET /h x-color=RED", 404),
        ("GET /h x-size=42", "header-regex"),
        ("GET /h x-size=42cm", 404),
        ("GET /hh x-a=1", 404),
        ("GET /hh x-a=1 x-b=2", "headers"),
        ("GET /q?animal=whale", "query"),
        ("GET /q?x=y&animal=whale", "query"),
        ("GET /q?animal=whales", 404),
        ("GET /q?Animal=whale", 404),
        ("GET /q?count=12", "query-regex"),
        ("PUT /m", "method"),
        ("GET /m", 404),
        ("GET /one", "either"),
        ("POST /two/x", "either"),
        ("GET /two/x", 404),
    ],
)
def test_what_matches(mesh: Mesh, request_: str, expected: str | int) -> None:
    mesh.replace(route(KINDS))
    method, url, *headers = request_.split()
    assert taken(mesh, url, method, **dict(each.split("=") for each in headers)) == expected


def test_a_rule_without_matches_takes_everything(mesh: Mesh) -> None:
    mesh.replace(route({"all": []}))
    assert [taken(mesh, "/"), taken(mesh, "/any/where", "DELETE")] == ["all", "all"]


HEADERS = [{"name": f"x-{name}", "value": "1"} for name in "abc"]
QUERIES = [{"name": name, "value": "1"} for name in "abc"]
EVERYTHING = {"x-a": "1", "x-b": "1", "x-c": "1"}


@pytest.mark.parametrize(
    ("lesser", "greater"),
    [
        (path("/shop") | {"method": "GET", "headers": HEADERS}, path("/shop/books", "Exact")),
        (path("/shop") | {"method": "GET", "headers": HEADERS}, path("/shop/books")),
        (path("/shop") | {"headers": HEADERS, "queryParams": QUERIES}, path("/shop") | {"method": "GET"}),
        (path("/shop") | {"headers": HEADERS[:1], "queryParams": QUERIES}, path("/shop") | {"headers": HEADERS[1:]}),
        (path("/shop") | {"queryParams": QUERIES[:1]}, path("/shop") | {"queryParams": QUERIES[1:]}),
        (path("/"), path("/shop")),
    ],
    ids=["exact-path", "longer-prefix", "method", "more-headers", "more-query-parameters", "root"],
)  # fmt: skip
@pytest.mark.parametrize("routes", [1, 2])
def test_what_precedes(mesh: Mesh, lesser: dict[str, Any], greater: dict[str, Any], routes: int) -> None:
    """In whichever order the rules stand, in one route or in two whose elder has the lesser match."""
    if routes == 1:
        mesh.replace(route({"lesser": [lesser], "greater": [greater]}))
    else:
        mesh.replace(route({"lesser": [lesser]}, "a"), route({"greater": [greater]}, "b", NEW))
    assert taken(mesh, "/shop/books?a=1&b=1&c=1", **EVERYTHING) == "greater"


def test_the_first_of_equal_rules_precedes(mesh: Mesh) -> None:
    mesh.replace(route({"first": [path("/shop")], "second": [path("/shop")]}))
    assert taken(mesh, "/shop") == "first"


def test_the_elder_of_equal_routes_precedes(mesh: Mesh) -> None:
    mesh.replace(route({"young": [path("/shop")]}, "a", NEW), route({"old": [path("/shop")]}, "b", OLD))
    assert taken(mesh, "/shop") == "old"


def test_of_equal_age_the_first_by_name_precedes(mesh: Mesh) -> None:
    mesh.replace(route({"b": [path("/shop")]}, "b"), route({"a": [path("/shop")]}, "a"))
    assert taken(mesh, "/shop") == "a"


def test_each_part_of_a_route_takes_what_is_its_own(mesh: Mesh) -> None:
    mesh.replace(route({"books": [path("/books")]}, "a"), route({"music": [path("/music")], "all": []}, "b"))
    assert [taken(mesh, each) for each in ("/books/1", "/music/1", "/films/1")] == ["books", "music", "all"]


def test_a_route_is_for_what_is_addressed_to_the_service(mesh: Mesh) -> None:
    """Not for what is addressed to one of its pods."""
    mesh.replace(route({"all": []}))
    assert taken(mesh, "/") == "all"
    (pod,) = mesh.model.pods_of("shop/catalog-v1")
    one = mesh.request(CLIENT, f"http://{pod.ip}:8080/")
    assert (one.status, one.headers.get("x-rule")) == (200, None)
    assert one.hops[0].cluster == "PassthroughCluster"


SHELF, FIND = "library.v1.Shelf", "Find"
CALLS: dict[str, list[dict[str, Any]]] = {
    "exact": [{"method": {"service": SHELF, "method": FIND}}],
    "service": [{"method": {"service": SHELF}}],
    "method": [{"method": {"method": "Health"}}],
    "regex": [
        {"method": {"type": "RegularExpression", "service": "library[.]v[0-9]+[.].+", "method": "Get.+"}}
    ],
    "header": [{"headers": [{"name": "x-color", "value": "red"}]}],
}


@pytest.mark.parametrize(
    ("called", "headers", "expected"),
    [
        (f"{SHELF}/{FIND}", {}, "exact"),
        (f"{SHELF}/Sort", {}, "service"),
        ("any.Thing/Health", {}, "method"),
        ("library.v2.Book/GetTitle", {}, "regex"),
        ("any.Thing/Do", {"x-color": "red"}, "header"),
        (f"{SHELF}/{FIND}", {"x-color": "red"}, "exact"),
    ],
)
def test_calls_of_grpc(mesh: Mesh, called: str, headers: dict[str, str], expected: str) -> None:
    mesh.replace(route(CALLS, kind="GRPCRoute"))
    one = mesh.request(CLIENT, f"http://catalog:7070/{called}", protocol="grpc", headers=headers)
    assert (one.grpc_status, one.headers.get("x-rule")) == (0, expected)


def test_a_call_that_no_rule_takes_is_unimplemented(mesh: Mesh) -> None:
    mesh.replace(route(CALLS, kind="GRPCRoute"))
    one = mesh.request(CLIENT, "http://catalog:7070/any.Thing/Do", protocol="grpc")
    assert one.grpc_status == 12
