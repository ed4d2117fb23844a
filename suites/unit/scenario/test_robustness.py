# ruff: noqa: E501 - one scenario, compact
from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshtest.errors import ScenarioError

GOOD: dict[str, Any] = {
    "apiVersion": "meshtest.dev/v1",
    "kind": "Scenario",
    "metadata": {"name": "a", "labels": {"x": "y"}},
    "spec": {
        "manifests": ["mesh.yaml"],
        "calls": {"a": ["b"]},
        "commands": {"default/a": ["/bin/a"]},
        "traffic": [
            {"name": "t", "from": "a", "request": {"url": "http://b/", "headers": {"x": "y"}, "tls": {"alpn": ["h2"]}}, "rate": "5/s", "for": "2s"},
            {"from": "a", "request": "tcp://b:1", "rate": "5/s", "for": "1s"},
        ],
        "faults": [
            {
                "abort": {"httpStatus": 503},
                "to": ["b"],
                "match": {"path": {"exact": "/"}, "headers": {"x": {"prefix": "y"}}},
                "percentage": {"value": 30},
                "during": {"at": "1s", "for": "1s"},
            },
            {"delay": {"fixedDelay": "1s"}, "to": "b", "attempts": [1]},
        ],
        "expect": [
            {"successRate": {"about": "30%", "detect": "5%", "success": {"status": [200, "5xx"]}}, "name": "n"},
            {"answeredBy": {"shares": {"a": "50%", "b": 50}}, "traffic": "t", "where": {"status": 200, "after": "1s"}},
            {"latency": {"p99": {"atMost": "1s"}}},
            {"mtls": {"peer": "spiffe://a"}},
            {"grpcStatus": 14},
            {"allowed": True},
            {"call": {"to": "a", "times": {"atLeast": 1}}},
        ],
        "expectFailure": {"check": "n", "because": "x"},
        "matrix": {"v": [1, 2]},
        "seed": 1,
    },
}  # fmt: skip
WORDS = st.sampled_from(
    ["", "x", "${v}", "${w}", "$${v}", "http://", "1s", "-1s", "30%", "1e999", "nan", "²", "٣", "[", "(", "ns/a", "*", "**/*"]
)  # fmt: skip
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.sampled_from(["value", "in"]), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += _paths(inner, (*path, key))
    return found


PATHS = _paths(GOOD)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(PATHS), value=VALUES)
def test_whatever_stands_somewhere_is_read_or_refused_with_its_line(
    files: Any, path: tuple[Any, ...], value: Any
) -> None:
    document = copy.deepcopy(GOOD)
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    try:
        files.load(json.dumps(document, indent=1))
    except ScenarioError as error:
        assert error.location is not None  # noqa: PT017 - most values are refused, some are fine


def test_the_scenario_that_is_spoiled_is_good(files: Any) -> None:
    assert len(files.load(json.dumps(GOOD))) == 2
