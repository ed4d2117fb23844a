"""Expectations of what changes while faults come and go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshtest.scenario.bounds import Bounds, agree, limit_keys
from meshtest.scenario.expect_answer import SUCCESS, SUCCESS_RULE, StatusSet
from meshtest.scenario.expect_callee import WORKLOAD
from meshtest.scenario.fields import Shape, Short, key, list_of, record
from meshtest.scenario.scalars import duration, integer, slug

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.scenario.fields import Spot


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovers:
    """`recovers: {within: 1s}`: so long after the last fault is gone, requests succeed again."""

    within: float
    success: StatusSet = SUCCESS


@dataclass(frozen=True, slots=True, kw_only=True)
class Shifts:
    """`shifts: {awayFrom: reviews-v2-0, within: 1s}`: soon after it fails, a pod gets nothing more."""

    away_from: tuple[str, ...]
    within: float
    lasts: float | None = None
    """`for:`, how long it gets nothing; without it, until the end of the traffic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Returns:
    """`returns: {to: reviews-v2-0, within: 5s}`: it gets requests again, so long after its fault is gone."""

    to: tuple[str, ...]
    within: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """`hits: {exactly: 20}`: how many requests crossed the faults, or the fault that is named."""

    bounds: Bounds
    of: str = ""


def _hits(of: str = "", **limits: float) -> Hits:
    return Hits(bounds=Bounds(**limits), of=of)


def _hit_limits(spec: Hits, spot: Spot) -> None:
    agree(spec.bounds.at_least, spec.bounds.at_most, spec.bounds.exactly, spot)
    if spec.bounds == Bounds():
        raise spot.error("no limit", expected="atLeast, atMost or exactly")


_COUNT = integer(least=0, what="a number of requests")
CHECKS: Mapping[str, Shape[Any]] = {
    "recovers": record(
        Recovers,
        {"within": key("within", duration(), required=True), "success": key("success", SUCCESS_RULE)},
    ),
    "shifts": record(
        Shifts,
        {
            "awayFrom": key("away_from", list_of(WORKLOAD), required=True),
            "within": key("within", duration(), required=True),
            "for": key("lasts", duration()),
        },
    ),
    "returns": record(
        Returns,
        {
            "to": key("to", list_of(WORKLOAD), required=True),
            "within": key("within", duration(), required=True),
        },
    ),
    "hits": record(
        _hits,
        {**limit_keys(_COUNT), "of": key("of", slug("name of a fault"))},
        short=Short(attribute="exactly", shape=_COUNT),
        verify=_hit_limits,
    ),
}
