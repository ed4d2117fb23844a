"""Expectations of telemetry: the spans that a collector received, the access log that Telemetry asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshtest.scenario.bounds import Bounds, TextMatch, agree, limit_keys, text_match
from meshtest.scenario.expect_answer import header_matches
from meshtest.scenario.fields import Shape, Short, key, record
from meshtest.scenario.scalars import integer, text, word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.scenario.fields import Spot

SPAN_KINDS = ("client", "server")
_NUMBER = integer(least=0, what="a number")
_WORKLOAD = text("a workload or pod, as name or namespace/name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """`spans: 2`: how many spans of each request the mesh's collectors received, of those that are asked for."""

    bounds: Bounds
    of: str = ""
    """The workload whose sidecar or gateway sent them; empty: all."""
    kind: str = ""
    name: TextMatch | None = None
    tags: Mapping[str, TextMatch] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessLog:
    """`accessLog: {at: ratings-v1, lines: 1}`: what a sidecar wrote to its standard output about each request."""

    at: str
    bounds: Bounds
    text: TextMatch | None = None
    """Of each line."""


def _spans(**given: Any) -> Spans:
    limits = {name: given.pop(name) for name in ("at_least", "at_most", "exactly") if name in given}
    return Spans(bounds=Bounds(**limits), **given)


def _log(at: str, lines: Bounds | None = None, text: TextMatch | None = None) -> AccessLog:
    return AccessLog(at=at, bounds=lines or Bounds(at_least=1), text=text)


def _limits(spec: Spans, spot: Spot) -> None:
    limits = spec.bounds
    agree(limits.at_least, limits.at_most, limits.exactly, spot)
    if limits == Bounds():
        raise spot.error("no limit", expected="atLeast, atMost or exactly")


def _lines() -> Shape[Bounds]:
    return record(Bounds, limit_keys(_NUMBER), short=Short(attribute="exactly", shape=_NUMBER))


CHECKS: Mapping[str, Shape[Any]] = {
    "spans": record(
        _spans,
        {
            **limit_keys(_NUMBER),
            "of": key("of", _WORKLOAD),
            "kind": key("kind", word(SPAN_KINDS, "kind of span")),
            "name": key("name", text_match()),
            "tags": key("tags", header_matches()),
        },
        short=Short(attribute="exactly", shape=_NUMBER),
        verify=_limits,
    ),
    "accessLog": record(
        _log,
        {
            "at": key("at", _WORKLOAD, required=True),
            "lines": key("lines", _lines()),
            "text": key("text", text_match()),
        },
    ),
}
