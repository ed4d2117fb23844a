"""Expectations of what the caller gets: status, headers, outcome, time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshtest.scenario.bounds import (
    SHARE_KEYS,
    Bounds,
    ShareBounds,
    TextMatch,
    limits_of,
    shares,
    text_match,
    verify_share,
)
from meshtest.scenario.fields import Key, Shape, Short, key, list_of, mapping_of, record, shown
from meshtest.scenario.scalars import GRPC_CODES, duration, grpc_status, word

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshtest.scenario.fields import Spot

OUTCOMES = ("response", "reset", "timeout", "handshake-failure", "refused", "unresolved")
"""The words of `meshtest.traffic.model.Outcome`."""
STATUS_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
PERCENTILES = {
    "min": 0.0,
    "p50": 0.5,
    "p75": 0.75,
    "p90": 0.9,
    "p95": 0.95,
    "p99": 0.99,
    "p99.9": 0.999,
    "max": 1.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusSet:
    """HTTP statuses, single or by class: `200`, `5xx`."""

    words: tuple[str, ...]

    def holds(self, status: int | None) -> bool:
        """Whether a status is one of them."""
        return status is not None and (str(status) in self.words or f"{status // 100}xx" in self.words)

    def text(self) -> str:
        """`200 or 5xx`."""
        return " or ".join(self.words)


SUCCESS = StatusSet(words=("2xx", "3xx"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """`status: 200`."""

    statuses: StatusSet = StatusSet(words=())
    share: ShareBounds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SuccessRate:
    """`successRate: {atLeast: 99%}`; success is 2xx or 3xx (gRPC: OK), or what `success` says."""

    share: ShareBounds
    statuses: StatusSet = SUCCESS


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeIs:
    """`outcome: reset`."""

    outcomes: tuple[str, ...] = ()
    share: ShareBounds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcStatus:
    """`grpcStatus: UNAVAILABLE`."""

    statuses: tuple[int, ...] = ()
    share: ShareBounds | None = None

    def text(self) -> str:
        """`UNAVAILABLE or OK`."""
        return " or ".join(GRPC_CODES[status] for status in self.statuses)


@dataclass(frozen=True, slots=True, kw_only=True)
class Headers:
    """`headers: {x-version: v2}`: of the response; lower-case names."""

    headers: Mapping[str, TextMatch]


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """`body: {contains: ok}`: of the response."""

    body: TextMatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """`latency: {p99: {atMost: 100ms}}`, in seconds."""

    limits: Mapping[str, Bounds] = field(default_factory=dict)


def _read_status(value: Any, spot: Spot) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599:
        return str(value)
    if isinstance(value, str) and (
        value in STATUS_CLASSES or (value.isdecimal() and 100 <= int(value) <= 599)
    ):
        return value
    raise spot.error(f"{shown(value)} is no HTTP status", expected="an HTTP status such as 503 or 5xx")


STATUS = Shape(
    expected="an HTTP status such as 503 or 5xx",
    read=_read_status,
    schema={"anyOf": [{"type": "integer", "minimum": 100, "maximum": 599}, {"enum": list(STATUS_CLASSES)}]},
)
_STATUSES = list_of(STATUS)
STATUSES: Shape[StatusSet] = Shape(
    expected=_STATUSES.expected,
    read=lambda value, spot: StatusSet(words=_STATUSES.read(value, spot)),
    schema=_STATUSES.schema,
)


def _among(make: Callable[..., Any], attribute: str, shape: Shape[Any], single: Shape[Any]) -> Shape[Any]:
    """`{equals | in, share}`, or the values alone."""
    keys = {"equals": key(attribute, single), "in": key(attribute, shape), "share": key("share", shares())}

    def one_is_given(made: Any, spot: Spot) -> None:
        if made == make(share=made.share):
            raise spot.error("neither equals nor in stands here", expected=shape.expected)

    return record(make, keys, short=Short(attribute=attribute, shape=shape), verify=one_is_given)


def _alone(shape: Shape[Any], make: Callable[[tuple[Any, ...]], Any] = tuple) -> Shape[Any]:
    return Shape(
        expected=shape.expected,
        read=lambda value, spot: make((shape.read(value, spot),)),
        schema=shape.schema,
    )


STATUS_CHECK: Shape[Status] = _among(
    Status, "statuses", STATUSES, _alone(STATUS, lambda one: StatusSet(words=one))
)
_OUTCOME = word(OUTCOMES, "outcome")
OUTCOME_CHECK: Shape[OutcomeIs] = _among(OutcomeIs, "outcomes", list_of(_OUTCOME), _alone(_OUTCOME))
GRPC_CHECK: Shape[GrpcStatus] = _among(GrpcStatus, "statuses", list_of(grpc_status()), _alone(grpc_status()))


def _success_rate(success: StatusSet = SUCCESS, **limits: float) -> SuccessRate:
    return SuccessRate(share=ShareBounds(**limits), statuses=success)


SUCCESS_RULE = record(lambda status: status, {"status": key("status", STATUSES, required=True)})
SUCCESS_RATE_CHECK: Shape[SuccessRate] = record(
    _success_rate,
    {**SHARE_KEYS, "success": key("success", SUCCESS_RULE)},
    short=Short(attribute="exactly", shape=SHARE_KEYS["exactly"].shape),
    verify=lambda made, spot: verify_share(made.share, spot),
)


def header_matches() -> Shape[dict[str, TextMatch]]:
    """Header names, in any case, and what their values must be."""
    plain = mapping_of(text_match(), what="a mapping of header names")
    return Shape(
        expected=plain.expected,
        read=lambda value, spot: {name.lower(): match for name, match in plain.read(value, spot).items()},
        schema=plain.schema,
    )


def wrapped(make: Callable[..., Any], attribute: str, shape: Shape[Any]) -> Shape[Any]:
    """A shape whose value fills the only attribute of a dataclass."""
    return Shape(
        expected=shape.expected,
        read=lambda value, spot: make(**{attribute: shape.read(value, spot)}),
        schema=shape.schema,
    )


def _latency(**limits: Bounds) -> Latency:
    return Latency(limits=limits)


_LIMITS: dict[str, Key] = {name: key(name, limits_of(duration(zero=True))) for name in PERCENTILES}
CHECKS: Mapping[str, Shape[Any]] = {
    "status": STATUS_CHECK,
    "successRate": SUCCESS_RATE_CHECK,
    "outcome": OUTCOME_CHECK,
    "grpcStatus": GRPC_CHECK,
    "headers": wrapped(Headers, "headers", header_matches()),
    "body": wrapped(Body, "body", text_match()),
    "latency": record(_latency, _LIMITS),
}
