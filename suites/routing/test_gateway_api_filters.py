"""What the filters of an HTTPRoute or GRPCRoute on a Service do to requests and to answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop")

CLIENT = "shop/orders"
BACKEND = {"name": "catalog-v1", "port": 80}
SHOP = [{"path": {"value": "/shop"}}]


def route(*rules: dict[str, Any], kind: str = "HTTPRoute") -> dict[str, Any]:
    """A route on the Service."""
    spec = {"parentRefs": [{"group": "", "kind": "Service", "name": "catalog"}], "rules": list(rules)}
    metadata = {"name": "catalog", "namespace": "shop"}
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def filtered(mesh: Mesh, *filters: dict[str, Any], url: str = "/", **fields: Any) -> Exchange:
    """A request to the Service whose route has these filters."""
    redirects = any(each["type"] == "RequestRedirect" for each in filters)
    backends = {} if redirects else {"backendRefs": [BACKEND]}
    mesh.replace(
        yaml.safe_dump(
            route({"matches": SHOP, "filters": list(filters), **backends}, {"backendRefs": [BACKEND]})
        )
    )
    return mesh.request(CLIENT, f"http://catalog{url}", **fields)


def headers(kind: str, **changes: Any) -> dict[str, Any]:
    """A filter that changes headers: `set` and `add` by pairs, `remove` by names."""
    changed = {
        name: [{"name": key, "value": text} for key, text in value.items()] if name != "remove" else value
        for name, value in changes.items()
    }
    return {"type": f"{kind}HeaderModifier", f"{kind[0].lower()}{kind[1:]}HeaderModifier": changed}


SENT = (("x-old", "1"), ("x-many", "1"), ("x-many", "2"), ("x-left", "alone"))


@pytest.mark.parametrize(
    ("changes", "name", "received"),
    [
        ({"set": {"x-new": "a"}}, "x-new", ["a"]),
        ({"set": {"x-old": "2"}}, "x-old", ["2"]),
        ({"set": {"X-Many": "3"}}, "x-many", ["3"]),
        ({"add": {"x-new": "a"}}, "x-new", ["a"]),
        ({"add": {"x-old": "2"}}, "x-old", ["1", "2"]),
        ({"add": {"x-many": "3"}}, "x-many", ["1", "2", "3"]),
        ({"remove": ["x-many"]}, "x-many", None),
        ({"remove": ["X-Old"]}, "x-old", None),
        ({"remove": ["x-old"], "add": {"x-many": "3"}, "set": {"x-new": "b"}}, "x-left", ["alone"]),
    ],
)
def test_headers_of_requests(
    mesh: Mesh, changes: dict[str, Any], name: str, received: list[str] | None
) -> None:
    one = filtered(mesh, headers("Request", **changes), url="/shop", headers=SENT)
    assert one.backend
    seen = one.backend.request.headers.get(name)
    assert (",".join(seen) if seen is not None else None) == (",".join(received) if received else None)


def test_the_host_of_requests(mesh: Mesh) -> None:
    one = filtered(mesh, headers("Request", set={"Host": "books.example.com"}), url="/shop")
    assert one.backend
    assert one.backend.request.host == "books.example.com"


@pytest.mark.parametrize(
    ("changes", "name", "seen"),
    [
        ({"set": {"x-new": "a"}}, "x-new", ["a"]),
        ({"set": {"content-type": "text/x"}}, "content-type", ["text/x"]),
        ({"add": {"content-type": "text/x"}}, "content-type", ["application/json,text/x"]),
        ({"remove": ["Content-Type"]}, "content-type", []),
    ],
)
def test_headers_of_answers(mesh: Mesh, changes: dict[str, Any], name: str, seen: list[str]) -> None:
    one = filtered(mesh, headers("Response", **changes), url="/shop")
    assert (one.status, one.headers.all(name)) == (200, seen)


def test_headers_by_backend(mesh: Mesh) -> None:
    """Filters of a backend are for what goes to it, after those of the rule."""
    backends = []
    for each in ("v1", "v2"):
        filters = [headers("Request", set={"x-to": each}), headers("Response", add={"x-from": each})]
        backends.append({"name": f"catalog-{each}", "port": 80, "filters": filters})
    rule = {"filters": [headers("Request", set={"x-rule": "yes"})], "backendRefs": backends}
    mesh.replace(yaml.safe_dump(route(rule)))
    answered = set()
    for one in mesh.send(CLIENT, "http://catalog/", requests=60).exchanges:
        assert one.backend
        version = one.backend.workload.removeprefix("catalog-")
        answered.add(version)
        received = one.backend.request.headers
        assert (received["x-to"], received["x-rule"], one.headers["x-from"]) == ([version], ["yes"], version)
    assert answered == {"v1", "v2"}


def redirect(**fields: Any) -> dict[str, Any]:
    """A filter."""
    return {"type": "RequestRedirect", "requestRedirect": fields}


def full(path: str) -> dict[str, str]:
    """Another path."""
    return {"type": "ReplaceFullPath", "replaceFullPath": path}


def prefix(path: str) -> dict[str, str]:
    """Another prefix in place of the matched one."""
    return {"type": "ReplacePrefixMatch", "replacePrefixMatch": path}


@pytest.mark.parametrize(
    ("fields", "status", "location"),
    [
        ({"hostname": "example.org"}, 302, "http://example.org/shop/a?b=c"),
        ({"statusCode": 301}, 301, "http://catalog/shop/a?b=c"),
        ({"statusCode": 303, "hostname": "example.org"}, 303, "http://example.org/shop/a?b=c"),
        ({"statusCode": 307, "hostname": "example.org"}, 307, "http://example.org/shop/a?b=c"),
        ({"statusCode": 308, "hostname": "example.org"}, 308, "http://example.org/shop/a?b=c"),
        ({"scheme": "https"}, 302, "https://catalog/shop/a?b=c"),
        ({"scheme": "https", "port": 8443}, 302, "https://catalog:8443/shop/a?b=c"),
        ({"port": 8080}, 302, "http://catalog:8080/shop/a?b=c"),
        ({"path": full("/new")}, 302, "http://catalog/new?b=c"),
        ({"path": prefix("/store")}, 302, "http://catalog/store/a?b=c"),
        ({"path": prefix("/")}, 302, "http://catalog//a?b=c"),  # Istio cares for this slash in rewrites alone
        (
            {"scheme": "https", "hostname": "example.org", "path": full("/new")},
            302,
            "https://example.org/new?b=c",
        ),
    ],
)
def test_redirects(mesh: Mesh, fields: dict[str, Any], status: int, location: str) -> None:
    one = filtered(mesh, redirect(**fields), url="/shop/a?b=c")
    assert (one.status, one.headers.get("location"), one.backend) == (status, location, None)


def test_a_client_may_follow_a_redirect(mesh: Mesh) -> None:
    one = filtered(
        mesh,
        redirect(path=prefix("/store"), statusCode=307),
        url="/shop/a",
        method="POST",
        follow_redirects=True,
    )
    assert (one.status, one.redirects) == (200, ("http://catalog/store/a",))
    assert one.backend
    assert (one.backend.request.method, one.backend.request.path) == ("POST", "/store/a")


@pytest.mark.parametrize(
    ("fields", "url", "host", "path"),
    [
        ({"path": full("/one")}, "/shop/three?x=y", "catalog", "/one?x=y"),
        ({"path": prefix("/one")}, "/shop/three", "catalog", "/one/three"),
        ({"path": prefix("/one")}, "/shop", "catalog", "/one"),
        ({"path": prefix("/one/")}, "/shop/three", "catalog", "/one/three"),
        ({"path": prefix("/")}, "/shop/three", "catalog", "/three"),
        ({"path": prefix("/")}, "/shop", "catalog", "/"),
        ({"hostname": "one.example.org"}, "/shop/three", "one.example.org", "/shop/three"),
        ({"hostname": "one.example.org", "path": full("/")}, "/shop/three", "one.example.org", "/"),
        ({"hostname": "one.example.org", "path": full("/")}, "/other", "catalog", "/other"),
    ],
)
def test_rewrites(mesh: Mesh, fields: dict[str, Any], url: str, host: str, path: str) -> None:
    one = filtered(mesh, {"type": "URLRewrite", "urlRewrite": fields}, url=url)
    assert one.backend
    assert (one.backend.request.host, one.backend.request.path) == (host, path)


CORS = {
    "allowOrigins": ["https://shop.example.com", "https://*.partner.example.com"],
    "allowMethods": ["GET", "PUT"],
    "allowHeaders": ["x-color"],
    "exposeHeaders": ["x-rule"],
    "allowCredentials": True,
    "maxAge": 600,
}


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://shop.example.com", True),
        ("https://eu.partner.example.com", True),
        ("https://partner.example.com", False),
        ("http://shop.example.com", False),
        ("https://shop.example.com.evil.example", False),
    ],
)
def test_cors_of_requests(mesh: Mesh, origin: str, allowed: bool) -> None:  # noqa: FBT001
    one = filtered(mesh, {"type": "CORS", "cors": CORS}, url="/shop", headers={"origin": origin})
    assert (one.status, one.headers.get("access-control-allow-origin")) == (200, origin if allowed else None)
    assert one.headers.get("access-control-expose-headers") == ("x-rule" if allowed else None)
    assert one.headers.get("access-control-allow-credentials") == ("true" if allowed else None)


def test_cors_before_requests(mesh: Mesh) -> None:
    asked = {"origin": "https://shop.example.com", "access-control-request-method": "PUT"}
    one = filtered(mesh, {"type": "CORS", "cors": CORS}, url="/shop", method="OPTIONS", headers=asked)
    assert (one.status, one.backend) == (200, None)
    told = {
        name.removeprefix("access-control-"): value
        for name, value in one.headers
        if name.startswith("access-control-")
    }
    assert told == {
        "allow-origin": "https://shop.example.com",
        "allow-methods": "GET,PUT",
        "allow-headers": "x-color",
        "allow-credentials": "true",
        "expose-headers": "x-rule",
        "max-age": "600",
    }


def test_headers_of_calls_of_grpc(mesh: Mesh) -> None:
    filters = [headers("Request", set={"x-to": "v1"}), headers("Response", set={"x-from": "v1"})]
    rule = {"filters": filters, "backendRefs": [{"name": "catalog-v1", "port": 7070}]}
    mesh.replace(yaml.safe_dump(route(rule, kind="GRPCRoute")))
    one = mesh.request(CLIENT, "http://catalog:7070/library.v1.Shelf/Find", protocol="grpc")
    assert (one.grpc_status, one.headers.get("x-from")) == (0, "v1")
    assert one.backend
    assert one.backend.request.headers["x-to"] == ["v1"]
