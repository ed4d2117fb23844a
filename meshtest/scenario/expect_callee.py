"""Expectations of who answered, and of what the application received."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshtest.scenario.bounds import FALSE_ALARM, Bounds, ShareBounds, TextMatch, counts, shares, text_match
from meshtest.scenario.expect_answer import OUTCOMES, STATUSES, StatusSet, header_matches, wrapped
from meshtest.scenario.fields import Shape, Short, key, list_of, mapping_of, record
from meshtest.scenario.scalars import probability, share, text, word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.scenario.fields import Spot

ROUNDING = 1e-9
WORKLOAD = text("a workload or pod, as name or namespace/name")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredBy:
    """`answeredBy: reviews-v2`, any of several, or in shares."""

    workloads: tuple[str, ...] = ()
    shares: Mapping[str, float] = field(default_factory=dict)
    """From 0 to 1; they add up to 1."""
    detect: float | None = None
    false_alarm: float = FALSE_ALARM


@dataclass(frozen=True, slots=True, kw_only=True)
class Sticky:
    """`sticky: {header: x-user}`: requests with the same value meet the same pod."""

    header: str = ""
    """Empty: all requests of a caller."""
    pods: Bounds | None = None
    """How many pods answer altogether."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestHeaders:
    """`requestHeaders: {x-added: "1"}`: as the application received them; lower-case names."""

    headers: Mapping[str, TextMatch]


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """`received: {path: /v2}`: the request as the application received it."""

    method: TextMatch | None = None
    path: TextMatch | None = None
    host: TextMatch | None = None
    protocol: TextMatch | None = None
    body: TextMatch | None = None
    sni: TextMatch | None = None
    alpn: TextMatch | None = None
    client_certificate: TextMatch | None = None
    proxy_protocol: TextMatch | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MirroredTo:
    """`mirroredTo: reviews-v3`: copies of requests arrived there, of all or of a share."""

    to: str = ""
    share: ShareBounds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """`call: {to: ratings, status: 200}`: what a workload got that the stand-ins called in turn."""

    to: str
    status: StatusSet | None = None
    outcome: tuple[str, ...] = ()
    answered_by: tuple[str, ...] = ()
    times: Bounds | None = None


def _shares_add_up(spec: AnsweredBy, spot: Spot) -> None:
    total = sum(spec.shares.values())
    if spec.shares and abs(total - 1) > ROUNDING:
        raise spot.key("shares").error(f"the shares add up to {total * 100:g}%", expected="100% together")
    if bool(spec.shares) == bool(spec.workloads):
        raise spot.error("who answers must stand here", expected="either shares or in")
    if spec.detect is not None and (not spec.shares or spec.detect == 0):
        raise spot.error("detect needs shares and a difference above 0%", expected="shares beside detect")


def _call_says_something(spec: Call, spot: Spot) -> None:
    if spec.status is None and not spec.outcome and not spec.answered_by and spec.times is None:
        raise spot.error("nothing is expected of the call", expected="status, outcome, answeredBy or times")


ANSWERED_BY = record(
    AnsweredBy,
    {
        "in": key("workloads", list_of(WORKLOAD)),
        "shares": key("shares", mapping_of(share(), what="workloads and their shares")),
        "detect": key("detect", share()),
        "falseAlarm": key("false_alarm", probability()),
    },
    short=Short(attribute="workloads", shape=list_of(WORKLOAD)),
    verify=_shares_add_up,
)
CALL = record(
    Call,
    {
        "to": key("to", text("a workload or service"), required=True),
        "status": key("status", STATUSES),
        "outcome": key("outcome", list_of(word(OUTCOMES, "outcome"))),
        "answeredBy": key("answered_by", list_of(WORKLOAD)),
        "times": key("times", counts()),
    },
    verify=_call_says_something,
)
MIRRORED_TO = record(
    MirroredTo,
    {"to": key("to", WORKLOAD, required=True), "share": key("share", shares())},
    short=Short(attribute="to", shape=WORKLOAD),
)
CHECKS: Mapping[str, Shape[Any]] = {
    "answeredBy": ANSWERED_BY,
    "mirroredTo": MIRRORED_TO,
    "sticky": record(
        Sticky, {"header": key("header", text("a header's name")), "pods": key("pods", counts(1))}, empty=True
    ),
    "requestHeaders": wrapped(RequestHeaders, "headers", header_matches()),
    "received": record(
        Received,
        {
            **{
                name: key(name, text_match())
                for name in ("method", "path", "host", "protocol", "body", "sni", "alpn")
            },
            "clientCertificate": key("client_certificate", text_match()),
            "proxyProtocol": key("proxy_protocol", text_match()),
        },
    ),
    "call": CALL,
}
