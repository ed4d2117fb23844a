from __future__ import annotations

from typing import Any

import pytest
from envoy.config.route.v3 import route_components_pb2, route_pb2
from google.protobuf import json_format

from meshtest.envoy.decorate import Context, Decorator
from meshtest.envoy.mirrors import MEMBER, marked
from meshtest.traffic.headers import MIRROR_MEMBER


def routes(*mirrors: int) -> bytes:
    """One route per number, with so many mirrors."""
    made: list[dict[str, Any]] = [
        {
            "name": f"r{index}",
            "match": {"prefix": "/"},
            "route": {
                "cluster": "a",
                "request_mirror_policies": [{"cluster": f"m{each}"} for each in range(number)],
            },
        }
        for index, number in enumerate(mirrors)
    ]
    made.append({"name": "elsewhere", "match": {"prefix": "/"}, "redirect": {"host_redirect": "b"}})
    body = {"name": "80", "virtual_hosts": [{"name": "v", "domains": ["*"], "routes": made}]}
    return bytes(json_format.ParseDict(body, route_pb2.RouteConfiguration()).SerializeToString())


def found(raw: bytes) -> list[route_components_pb2.Route]:
    return list(route_pb2.RouteConfiguration.FromString(raw).virtual_hosts[0].routes)


def test_what_mirrors_nothing_stays_as_it_is() -> None:
    raw = routes(0, 0)
    assert marked(raw) is raw


def test_every_mirror_adds_its_member_to_the_baggage() -> None:
    _, two, redirect = found(marked(routes(0, 2)))
    for policy in two.route.request_mirror_policies:
        (mutation,) = policy.request_headers_mutations
        assert mutation.append.header.key == "baggage"
        assert mutation.append.header.value.endswith(f",{MEMBER}")
    assert redirect.WhichOneof("action") == "redirect"
    assert MEMBER == MIRROR_MEMBER  # two layers know it, and neither may import the other


def test_the_route_says_how_many_copies_there_may_be() -> None:
    none, two, _ = found(marked(routes(0, 2)))
    assert not none.metadata.filter_metadata
    assert two.metadata.filter_metadata["meshtest"]["mirrors"] == 2


def test_the_field_that_is_looked_for_is_the_one_of_mirrors() -> None:
    field = route_components_pb2.RouteAction.DESCRIPTOR.fields_by_name["request_mirror_policies"]
    assert field.number == 30


@pytest.mark.parametrize("number", [0, 1])
def test_every_proxy_gets_them(number: int) -> None:
    raw = routes(number)
    assert Decorator().decorate("RDS", raw, Context("/run/meshtest", "default/a-0")) == marked(raw)
