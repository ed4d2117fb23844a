from __future__ import annotations

from typing import Any

import pytest
from envoy.config.route.v3 import route_components_pb2 as components_pb2

from meshtest.explain import rewriting
from meshtest.explain.truth import Unknown
from suites.unit.explain.conftest import http, message


def route(**fields: Any) -> Any:
    return message(components_pb2.Route, **fields)


@pytest.mark.parametrize(
    ("match", "action", "path"),
    [
        ({"prefix": "/a"}, {"prefix_rewrite": "/b"}, "/b/x?q=1"),
        ({"path_separated_prefix": "/a/"}, {"prefix_rewrite": "/b/"}, "/b/x?q=1"),
        ({"safe_regex": {"regex": "/.*"}}, {"prefix_rewrite": "/b"}, "/b?q=1"),
        (
            {"prefix": "/"},
            {"regex_rewrite": {"pattern": {"regex": "/(.)/(.)"}, "substitution": r"/\2/\1"}},
            "/x/a?q=1",
        ),
    ],
    ids=["prefix", "segments", "whole", "expression"],
)
def test_paths(match: dict[str, Any], action: dict[str, Any], path: str) -> None:
    assert rewriting.rewritten(http("/a/x?q=1"), route(match=match, route=action)).path == path


def test_authorities() -> None:
    found = rewriting.rewritten(http(), route(match={"prefix": "/"}, route={"host_rewrite_literal": "c"}))
    assert found.authority == "c"


def added(name: str, value: str, action: str = "APPEND_IF_EXISTS_OR_ADD") -> dict[str, Any]:
    return {"header": {"key": name, "value": value}, "append_action": action}


def test_headers_are_removed_then_added() -> None:
    level = route(
        request_headers_to_remove=["x-a"],
        request_headers_to_add=[
            added("x-a", "2"),
            added("x-b", "2"),
            added("x-c", "2", "OVERWRITE_IF_EXISTS_OR_ADD"),
            added("x-d", "2", "ADD_IF_ABSENT"),
            added("x-e", "2", "OVERWRITE_IF_EXISTS"),
        ],
    )
    found = rewriting.changed(http(x_a="1", x_b="1", x_c="1", x_d="1"), [level])
    assert found.headers == {"x-a": ("2",), "x-b": ("1", "2"), "x-c": ("2",), "x-d": ("1",)}


def test_a_value_that_envoy_makes_is_unknown() -> None:
    level = route(request_headers_to_add=[added("x-a", "%DOWNSTREAM_REMOTE_ADDRESS%")])
    assert isinstance(rewriting.changed(http(), [level]).values("x-a"), Unknown)


@pytest.mark.parametrize(
    ("action", "status", "place"),
    [
        ({"path_redirect": "/b"}, 301, "http://b/b?q=1"),
        ({"host_redirect": "c", "response_code": "FOUND"}, 302, "http://c/a/x?q=1"),
        ({"scheme_redirect": "https", "port_redirect": 443}, 301, "https://b/a/x?q=1"),
        ({"prefix_rewrite": "/z", "strip_query": True, "port_redirect": 81}, 301, "http://b:81/z/x"),
    ],
)
def test_redirects(action: dict[str, Any], status: int, place: str) -> None:
    found = rewriting.redirect(http("/a/x?q=1"), route(match={"prefix": "/a"}, redirect=action))
    assert found == (status, place)
