from __future__ import annotations

import re

import pytest

from meshtest.mesh.proxy_protocol import PATTERN, header, is_source
from meshtest.standin.proxy_protocol import parse

TO = ("10.0.0.2", 443)


@pytest.mark.parametrize(
    ("source", "version", "told"),
    [
        ("203.0.113.7:40001", 1, "203.0.113.7:40001"),
        ("v1 203.0.113.7", 1, "203.0.113.7:40000"),
        ("v2 203.0.113.7:40001", 2, "203.0.113.7:40001"),
    ],
)
def test_says_who_connected_as_a_server_reads_it(source: str, version: int, told: str) -> None:
    text = header(source, TO)
    found = parse(text + b"GET / HTTP/1.1")
    assert found is not None
    assert found[0] == {"version": version, "source": told, "destination": "10.0.0.2:443"}
    assert found[1] == len(text)


@pytest.mark.parametrize("source", ["2001:db8::7", "[2001:db8::7]:40001", "v2 [2001:db8::7]:40001"])
def test_both_addresses_are_of_one_family(source: str) -> None:
    found = parse(header(source, TO))
    assert found is not None
    assert "2001:db8::7" in found[0]["source"]
    assert "::ffff:" in found[0]["destination"]


def test_version_one_is_a_line_of_text() -> None:
    assert header("203.0.113.7:1", TO) == b"PROXY TCP4 203.0.113.7 10.0.0.2 1 443\r\n"


@pytest.mark.parametrize("text", ["203.0.113.7", "203.0.113.7:1", "v2 ::1", "v1 [::1]:65535"])
def test_what_says_an_address(text: str) -> None:
    assert is_source(text)
    assert re.search(PATTERN, text)


@pytest.mark.parametrize(
    "text", ["", "shop", "v3 203.0.113.7", "203.0.113.7:", "203.0.113:80", "v2203.0.113.7"]
)
def test_what_says_none(text: str) -> None:
    assert not is_source(text)
    assert not re.search(PATTERN, text)


@pytest.mark.parametrize("text", ["203.0.113.256", "203.0.113.7:0", "203.0.113.7:65536"])
def test_numbers_that_are_too_large_are_none_either(text: str) -> None:
    assert not is_source(text)
