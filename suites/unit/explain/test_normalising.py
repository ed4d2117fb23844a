from __future__ import annotations

import pytest
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

from meshtest.explain.normalising import completed, normalised
from meshtest.explain.rbac import Subject
from suites.unit.explain.conftest import http, message, wire

MANAGER = hcm_pb2.HttpConnectionManager


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/a/../b", "/b"),
        ("/a/./b/", "/a/b/"),
        ("/a/%2e%2e/b", "/b"),
        ("/%61", "/a"),
        ("/a%2fb", "/a%2fb"),
        ("/a\\b", "/a/b"),
        ("//a//b", "//a//b"),
        ("/a?x=/../y", "/a?x=/../y"),
        ("/a#part", "/a"),
        ("/..", "/"),
        ("/a|b^c[d]", "/a%7Cb%5Ec[d]"),
        ("/a%zz%25", "/a%zz%25"),
        ("/a%00", None),
        ("/\u00e9", None),
    ],
)
def test_paths_as_istio_has_them(path: str, seen: str | None) -> None:
    assert normalised(message(MANAGER, normalize_path=True), path) == seen


def test_other_ways_of_it() -> None:
    merging = message(MANAGER, normalize_path=True, merge_slashes=True)
    assert normalised(merging, "//a///b") == "/a/b"
    decoding = message(MANAGER, normalize_path=True, path_with_escaped_slashes_action="UNESCAPE_AND_FORWARD")
    assert normalised(decoding, "/a%2F..%2Fb") == "/b"
    refusing = message(MANAGER, path_with_escaped_slashes_action="REJECT_REQUEST")
    assert normalised(refusing, "/a%2Fb") is None
    assert normalised(message(MANAGER), "/a/../b") == "/a/../b"


def test_an_edge_notes_who_called() -> None:
    edge = message(MANAGER, use_remote_address=True)
    found = completed(edge, Subject(wire=wire()), http(x_forwarded_proto="https"))
    assert found.headers["x-forwarded-for"] == ("10.244.0.2",)
    assert found.scheme == "http"
    inside = completed(message(MANAGER), Subject(wire=wire()), http(x_forwarded_proto="https"))
    assert inside.scheme == "https"
