from __future__ import annotations

import pytest
from envoy.config.rbac.v3 import rbac_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

from meshtest.envoy.audits import keep_apart


def made(*actions: int | None) -> list[hcm_pb2.HttpFilter]:
    """Filters with rules of these actions; None: with none."""
    filters = []
    for action in actions:
        config = http_rbac_pb2.RBAC()
        if action is not None:
            config.rules.action = action
        filters.append(hcm_pb2.HttpFilter(name="envoy.filters.http.rbac"))
        filters[-1].typed_config.Pack(config)
    return filters


def prefix(chosen: hcm_pb2.HttpFilter) -> str:
    return str(http_rbac_pb2.RBAC.FromString(chosen.typed_config.value).rules_stat_prefix)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (rbac_pb2.RBAC.LOG, "meshtest_audit_"),
        (rbac_pb2.RBAC.DENY, ""),
        (rbac_pb2.RBAC.ALLOW, ""),
        (None, ""),
    ],
)
def test_what_only_watches_writes_under_a_name_of_its_own(action: int | None, expected: str) -> None:
    filters = made(action)
    keep_apart(filters)
    assert prefix(filters[0]) == expected


def test_other_filters_stay_as_they_are() -> None:
    other = hcm_pb2.HttpFilter(name="envoy.filters.http.router")
    kept = other.SerializeToString()
    keep_apart([other, *made(rbac_pb2.RBAC.DENY)])
    assert other.SerializeToString() == kept
