from __future__ import annotations

from typing import Any

import pytest
from envoy.config.route.v3 import route_components_pb2 as route_pb2
from envoy.type.matcher.v3 import string_pb2

from meshtest.explain import matching
from meshtest.explain.truth import Unknown
from suites.unit.explain.conftest import http, message


def string(text: str, **matcher: Any) -> Any:
    return matching.string(message(string_pb2.StringMatcher, **matcher), text)


def test_strings() -> None:
    assert string("ab", exact="ab")
    assert string("ab", prefix="a")
    assert string("ab", suffix="b")
    assert string("abc", contains="b")
    assert string("aB", exact="Ab", ignore_case=True)
    assert not string("abc", exact="ab")


def test_expressions_match_the_whole_text() -> None:
    assert string("abc", safe_regex={"regex": "a.c"})
    assert not string("abcd", safe_regex={"regex": "a.c"})


@pytest.mark.parametrize("regex", [r"[[:alpha:]]+", r"\pL+", "(?U)a+", "("])
def test_what_python_may_read_otherwise_is_not_guessed(regex: str) -> None:
    assert isinstance(string("abc", safe_regex={"regex": regex}), Unknown)


def header(request: Any, **matcher: Any) -> Any:
    return matching.header(message(route_pb2.HeaderMatcher, **matcher), request)


def test_headers() -> None:
    request = http(x_a="1")
    assert header(request, name="X-A", string_match={"exact": "1"})
    assert header(request, name="x-a", present_match=True)
    assert header(request, name=":method", string_match={"exact": "GET"})
    assert header(request, name="x-b", present_match=True, invert_match=True)
    assert header(request, name="x-a", range_match={"start": 1, "end": 2})


def test_an_absent_header_matches_nothing_unless_it_counts_as_empty() -> None:
    absent = {"name": "x-b", "string_match": {"exact": "1"}, "invert_match": True}
    assert not header(http(), **absent)
    assert header(http(), **absent, treat_missing_header_as_empty=True)


def test_what_is_made_on_the_way_is_unknown() -> None:
    found = header(http(), name="x-request-id", string_match={"exact": "1"})
    assert isinstance(found, Unknown)
    assert "x-request-id" in found.reason


def test_query_parameters() -> None:
    def query(path: str, **matcher: Any) -> Any:
        return matching.query(message(route_pb2.QueryParameterMatcher, **matcher), http(path))

    assert query("/a?b=1&b=2", name="b", string_match={"exact": "1"})
    assert not query("/a?b=2", name="b", string_match={"exact": "1"})
    assert query("/a?b", name="b", present_match=True)
    assert not query("/a", name="b", string_match={"exact": ""})


@pytest.mark.parametrize(
    ("template", "path", "fits"),
    [
        ("/a/*/c", "/a/b/c", True),
        ("/a/*/c", "/a/b/b/c", False),
        ("/a/**", "/a/b/c", True),
        ("/a/{name}/c", "/a/b/c", True),
        ("/a/*", "/a/", False),
    ],
)
def test_templates(template: str, path: str, fits: bool) -> None:  # noqa: FBT001
    assert (matching.template(template).fullmatch(path) is not None) is fits
