"""Sets of policies of every kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml
from hypothesis import strategies as st

from suites.routing.made_up.routes import http_routes, virtual_services
from suites.routing.made_up.security import authorizations, tokens
from suites.routing.made_up.traffic import destination_rules, peer_authentications, service_entries, sidecars

if TYPE_CHECKING:
    from suites.routing.made_up.building import Object


def _distinct(found: list[Object]) -> list[Object]:
    """The last of each name."""
    by_name = {(one["kind"], one["metadata"]["namespace"], one["metadata"]["name"]): one for one in found}
    return list(by_name.values())


_KINDS = (
    *[virtual_services] * 3,
    *[authorizations] * 3,
    destination_rules,
    destination_rules,
    peer_authentications,
    http_routes,
    http_routes,
    sidecars,
    service_entries,
    tokens,
)
policies = st.lists(
    st.integers(0, len(_KINDS) - 1).flatmap(lambda number: _KINDS[number]), min_size=1, max_size=9
).map(_distinct)


def as_yaml(objects: list[Object]) -> str:
    """As a user would write it."""
    return str(yaml.safe_dump_all(objects, sort_keys=False))
