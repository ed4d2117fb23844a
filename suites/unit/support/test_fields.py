from __future__ import annotations

from typing import Any

import pytest

from ci.support.fields import GAP, tree, used, used_by_part

ROUTES = tree(
    f"spec.{path}"
    for path in (
        "hosts[]",
        "http[].name",
        "http[].match[].headers{}.exact",
        "http[].match[].uri.exact",
        "http[].mirror.host",
        "http[].route[].destination.host",
        "http[].route[].headers.set{}",
        "http[].headers.set{}",
        "tcp[].mirror.host",
    )
)
RULES = tree(["spec.rules[].mirror.host", "spec.rules[].to[].paths[]"])
KINDS = {("n", "VirtualService"): ROUTES, ("s", "Policy"): RULES}


@pytest.mark.parametrize(
    ("spec", "paths"),
    [
        ({"hosts": ["a"]}, {"spec.hosts[]"}),
        (
            {"http": [{"match": [{"headers": {"x": {"exact": "a"}}}]}]},
            {"spec.http[].match[].headers{}.exact"},
        ),
        ({"http": [{"headers": {"set": {"x": "a"}}}]}, {"spec.http[].headers.set{}"}),
        ({"http": GAP, "unknown": 1}, set()),
    ],
)
def test_what_a_manifest_uses(spec: Any, paths: set[str]) -> None:
    assert used(ROUTES, {"spec": spec}) == paths


@pytest.mark.parametrize(
    ("part", "paths"),
    [
        ({"match": [{"uri": {"exact": "/"}}]}, {"spec.http[].match[].uri.exact"}),
        ({"headers": {"set": {"x": "a"}}}, {"spec.http[].headers.set{}"}),  # the higher of two places
        ({"route": GAP, "mirror": {"host": "a"}}, {"spec.http[].mirror.host"}),
    ],
)
def test_a_part_goes_to_the_highest_place_where_it_fits(part: Any, paths: set[str]) -> None:
    assert used_by_part(KINDS, part) == (("n", "VirtualService"), paths)


@pytest.mark.parametrize(
    "part",
    [
        {"mirror": {"host": "a"}},  # fits in two kinds
        {"host": "a"},  # stands everywhere
        {"uri": {"exact": "/"}, "other": 1},
        {"match": {"uri": {"exact": "/"}}},  # not a list
    ],
)
def test_of_a_part_that_may_be_anything_nothing_is_known(part: Any) -> None:
    assert used_by_part(KINDS, part) is None
