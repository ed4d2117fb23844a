"""Among which endpoints of a cluster Envoy's load balancer chooses.

envoy: source/extensions/load_balancing_policies/common/load_balancer_impl.cc
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envoy.config.core.v3 import health_check_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

_WELL = frozenset((health_check_pb2.UNKNOWN, health_check_pb2.HEALTHY))
_OVERPROVISIONING = 140


def groups(cluster: Any, assignment: Any) -> Iterator[tuple[float, list[Any]]]:
    """Shares, and the endpoints that each share is balanced among; none where no endpoint is healthy."""
    priorities: dict[int, list[Any]] = {}
    for locality in assignment.endpoints:
        priorities.setdefault(locality.priority, []).append(locality)
    loads = _loads([priorities[number] for number in sorted(priorities)], _factor(assignment))
    for load, localities in zip(loads, (priorities[number] for number in sorted(priorities)), strict=True):
        if load <= 0:
            continue
        if cluster.common_lb_config.HasField("locality_weighted_lb_config"):
            yield from _by_locality(load, localities)
        else:
            yield load, [one for locality in localities for one in _healthy(locality)]


def _factor(assignment: Any) -> int:
    given = assignment.policy.overprovisioning_factor
    return given.value if assignment.policy.HasField("overprovisioning_factor") else _OVERPROVISIONING


def _healthy(locality: Any) -> list[Any]:
    return [one for one in locality.lb_endpoints if one.health_status in _WELL]


def _loads(priorities: list[list[Any]], factor: int) -> list[float]:
    """What each priority gets: a priority that is not wholly healthy leaves the rest to the next."""
    health = []
    for localities in priorities:
        total = sum(len(one.lb_endpoints) for one in localities)
        well = sum(len(_healthy(one)) for one in localities)
        health.append(min(100.0, factor * well / total) if total else 0.0)
    whole = min(100.0, sum(health))
    loads, left = [], 100.0
    for own in health:
        load = min(left, own * 100 / whole) if whole else 0.0
        loads.append(load / 100)
        left -= load
    return loads


def _by_locality(load: float, localities: list[Any]) -> Iterator[tuple[float, list[Any]]]:
    alive = [one for one in localities if _healthy(one)]
    total = sum(one.load_balancing_weight.value for one in alive)
    for locality in alive:
        weight = locality.load_balancing_weight.value
        if weight:
            yield load * weight / total, _healthy(locality)
