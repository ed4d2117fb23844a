"""What a scenario expects: the table of checks, and the keys that all of them share.

- successRate: {atLeast: 99%}
  traffic: shoppers              # which traffic it is about; default: all of it
  where: {headers: {end-user: jason}, fault: hit}
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshtest.scenario import expect_answer, expect_callee, expect_policy, expect_telemetry, expect_time
from meshtest.scenario.bounds import TextMatch, text_match
from meshtest.scenario.expect_answer import (
    STATUSES,
    Body,
    GrpcStatus,
    Headers,
    Latency,
    OutcomeIs,
    Status,
    StatusSet,
    SuccessRate,
    header_matches,
)
from meshtest.scenario.expect_callee import AnsweredBy, Call, MirroredTo, Received, RequestHeaders, Sticky
from meshtest.scenario.expect_policy import Allowed, Attempts, DeniedBy, Mtls, ResponseFlags, RoutedBy
from meshtest.scenario.expect_telemetry import AccessLog, Spans
from meshtest.scenario.expect_time import Hits, Recovers, Returns, Shifts
from meshtest.scenario.fields import Key, Shape, key, list_of, record
from meshtest.scenario.items import items_schema, read_item
from meshtest.scenario.scalars import duration, regex, slug, text, word
from meshtest.scenario.traffic import PHASES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.errors import Location
    from meshtest.scenario.fields import Spot

Expectation = (
    Status | SuccessRate | OutcomeIs | GrpcStatus | Headers | Body | Latency
    | AnsweredBy | MirroredTo | Sticky | RequestHeaders | Received | Call
    | Attempts | Mtls | DeniedBy | Allowed | RoutedBy | ResponseFlags
    | Spans | AccessLog
    | Recovers | Shifts | Returns | Hits
)  # fmt: skip
CHECKS: Mapping[str, Shape[Any]] = {
    **expect_answer.CHECKS,
    **expect_callee.CHECKS,
    **expect_policy.CHECKS,
    **expect_telemetry.CHECKS,
    **expect_time.CHECKS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Which exchanges a check looks at; what is empty does not matter."""

    headers: Mapping[str, TextMatch] = field(default_factory=dict)
    """Of the request, lower-case names."""
    method: str = ""
    path: TextMatch | None = None
    status: StatusSet | None = None
    fault: str = ""
    """`hit` or `missed`: whether a fault touched it."""
    phase: str = ""
    """`before`, `during` or `after`: of the faults."""
    change: str = ""
    """`before` or `after`: whether it had ended before the first change was made, or came when all were made."""
    after: float | None = None
    """Seconds from the start of the traffic."""
    before: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSpec:
    """One expectation of a scenario."""

    kind: str
    what: Expectation
    location: Location
    name: str = ""
    traffic: str = ""
    where: Where = Where()

    @property
    def title(self) -> str:
        """What results and `expectFailure` call it."""
        return self.name or self.kind


ALWAYS_IDENTITIES = "always: identities"
"""The check that every scenario has without asking for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectFailure:
    """The twin that must fail: exactly this check, for a reason that `because` matches."""

    check: str
    because: str
    location: Location


def _window_is_open(where: Where, spot: Spot) -> None:
    if where.after is not None and where.before is not None and where.after >= where.before:
        raise spot.error("nothing lies between after and before", expected="after earlier than before")


WHERE = record(
    Where,
    {
        "headers": key("headers", header_matches()),
        "method": key("method", text("an HTTP method")),
        "path": key("path", text_match()),
        "status": key("status", STATUSES),
        "fault": key("fault", word(("hit", "missed"), "word for a fault")),
        "phase": key("phase", word(PHASES, "phase")),
        "change": key("change", word(("before", "after"), "word for a change")),
        "after": key("after", duration(zero=True)),
        "before": key("before", duration()),
    },
    verify=_window_is_open,
)
COMMON: Mapping[str, Key] = {
    "name": key("name", slug("name of a check")),
    "traffic": key("traffic", slug("name of a traffic")),
    "where": key("where", WHERE),
}


def _read_check(value: Any, spot: Spot) -> CheckSpec:
    kind, what, shared = read_item(value, spot, kinds=CHECKS, common=COMMON, what="check")
    return CheckSpec(kind=kind, what=what, location=spot.location, **shared)


CHECK: Shape[CheckSpec] = Shape(
    expected="a check such as successRate", read=_read_check, schema=items_schema(CHECKS, COMMON)
)
EXPECT = list_of(CHECK, one=False)


def _read_failure(value: Any, spot: Spot) -> ExpectFailure:
    found = _FAILURE.read(value, spot)
    return ExpectFailure(**found, location=spot.location)


_FAILURE: Shape[dict[str, str]] = record(
    dict,
    {
        "check": key("check", text("the kind or name of a check"), required=True),
        "because": key("because", regex("a regular expression that its reason must contain"), required=True),
    },
)
EXPECT_FAILURE: Shape[ExpectFailure] = Shape(
    expected=_FAILURE.expected, read=_read_failure, schema=_FAILURE.schema
)
