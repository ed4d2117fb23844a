from __future__ import annotations

from typing import Any

import pytest
from envoy.config.route.v3 import route_components_pb2 as components_pb2
from envoy.config.route.v3 import route_pb2

from meshtest.explain import routes
from meshtest.explain.truth import Unknown
from suites.unit.explain.conftest import http, message


def configuration(*domains: list[str], **fields: Any) -> Any:
    hosts = [{"name": own[0], "domains": own} for own in domains]
    return message(route_pb2.RouteConfiguration, virtual_hosts=hosts, **fields)


@pytest.mark.parametrize(
    ("authority", "name"),
    [
        ("b.one.svc", "b.one.svc"),
        ("B.ONE.SVC", "b.one.svc"),
        ("c.one.svc", "*.one.svc"),
        ("x.c.one.svc", "*.c.one.svc"),
        ("b.two", "b.*"),
        ("else", "*"),
        ("b.one.svc:8080", "b.one.svc"),
    ],
)
def test_virtual_hosts_from_the_most_special_on(authority: str, name: str) -> None:
    found = configuration(
        ["*"], ["b.*"], ["*.one.svc"], ["*.c.one.svc"], ["b.one.svc"], ignore_port_in_host_matching=True
    )
    host = routes.virtual_host(found, authority)
    assert host is not None
    assert host.name == name


def test_without_a_star_a_strange_host_has_none() -> None:
    assert routes.virtual_host(configuration(["b"]), "c") is None


def matches(asked: str, **match: Any) -> Any:
    return routes.matches(message(components_pb2.RouteMatch, **match), http(asked, x_a="1"), {})


def test_paths() -> None:
    assert matches("/a?q", path="/a")
    assert not matches("/a/", path="/a")
    assert matches("/abc", prefix="/a")
    assert matches("/a/b", path_separated_prefix="/a")
    assert matches("/a", path_separated_prefix="/a")
    assert not matches("/abc", path_separated_prefix="/a")
    assert matches("/A", path="/a", case_sensitive=False)
    assert matches("/abc", safe_regex={"regex": "/a.*"})


def test_everything_else_has_to_match_too() -> None:
    header = {"name": "x-a", "string_match": {"exact": "1"}}
    assert matches("/", prefix="/", headers=[header])
    assert not matches("/", prefix="/", headers=[{**header, "name": "x-b"}])
    assert not matches("/", prefix="/", grpc={})
    assert not matches("/?a=1", prefix="/", query_parameters=[{"name": "b", "present_match": True}])


def test_routes_end_with_the_first_that_surely_matches() -> None:
    unknown = {"prefix": "/", "headers": [{"name": "x-request-id", "string_match": {"exact": "1"}}]}
    half = {"prefix": "/", "runtime_fraction": {"default_value": {"numerator": 50}}}
    host = message(
        components_pb2.VirtualHost,
        routes=[{"match": one} for one in ({"path": "/no"}, unknown, half, {"prefix": "/"}, {"prefix": "/"})],
    )
    found = routes.routes(host, http(), {})
    assert [one.share for one in found] == [1.0, 0.5, 1.0]
    assert isinstance(found[0].truth, Unknown)
    assert found[2].truth is True
