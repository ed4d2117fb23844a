from __future__ import annotations

from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2

from meshtest.explain.balancing import groups
from suites.unit.explain.conftest import message


def locality(*health: str, priority: int = 0, weight: int = 1) -> dict[str, Any]:
    ends = [{"health_status": one} for one in health]
    return {"lb_endpoints": ends, "priority": priority, "load_balancing_weight": weight}


def shares(*localities: dict[str, Any], **cluster: Any) -> list[Any]:
    assigned = message(endpoint_pb2.ClusterLoadAssignment, endpoints=list(localities))
    found = groups(message(cluster_pb2.Cluster, **cluster), assigned)
    return [(share, len(ends)) for share, ends in found]


def test_only_what_is_well_gets_requests() -> None:
    assert shares(locality("HEALTHY", "UNHEALTHY", "DRAINING", "UNKNOWN")) == [(1.0, 2)]
    assert shares(locality("HEALTHY", "HEALTHY")) == [(1.0, 2)]


def test_the_next_priority_gets_what_a_sick_one_leaves() -> None:
    found = shares(locality("HEALTHY", "UNHEALTHY"), locality("HEALTHY", priority=1))
    assert found == [(pytest.approx(0.7), 1), (pytest.approx(0.3), 1)]
    assert shares(locality("UNHEALTHY"), locality("HEALTHY", priority=1)) == [(1.0, 1)]


def test_localities_by_weight() -> None:
    by_weight: dict[str, Any] = {"common_lb_config": {"locality_weighted_lb_config": {}}}
    found = shares(locality("HEALTHY", weight=3), locality("HEALTHY", weight=1), **by_weight)
    assert found == [(0.75, 1), (0.25, 1)]


def test_nothing_where_nobody_is_well() -> None:
    assert shares(locality("UNHEALTHY")) == []
    assert shares() == []
