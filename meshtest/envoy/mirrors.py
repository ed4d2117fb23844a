"""Mirrored requests told from those that they copy: their `baggage` has a member more. Pure.

    route ──► backend          baggage: meshtest=<exchange>
      └─ mirror ──► another    baggage: meshtest=<exchange>,meshtest-mirror=1

The route says in its metadata how many copies it may make, so that one knows what to wait for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from envoy.config.common.mutation_rules.v3 import mutation_rules_pb2
from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envoy.config.route.v3 import route_components_pb2

MEMBER = "meshtest-mirror=1"
METADATA = "meshtest"
_POLICIES = b"\xf2\x01"
"""How RouteAction.request_mirror_policies, field 30, begins: most routes mirror nothing and are not looked at."""


def marked(raw: bytes) -> bytes:
    """A RouteConfiguration whose mirrors add the member to what they send."""
    if _POLICIES not in raw:
        return raw
    config = route_pb2.RouteConfiguration.FromString(raw)
    for route in _routes(config):
        policies = route.route.request_mirror_policies
        for policy in policies:
            policy.request_headers_mutations.append(_mutation())
        if policies:
            route.metadata.filter_metadata[METADATA].update({"mirrors": len(policies)})
    return bytes(config.SerializeToString(deterministic=True))


def _routes(config: route_pb2.RouteConfiguration) -> Iterator[route_components_pb2.Route]:
    for host in config.virtual_hosts:
        yield from host.routes


def _mutation() -> mutation_rules_pb2.HeaderMutation:
    made = mutation_rules_pb2.HeaderMutation()
    made.append.header.key = "baggage"
    made.append.header.value = f"%REQ(BAGGAGE)%,{MEMBER}"
    made.append.append_action = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS
    return made
