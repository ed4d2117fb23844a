"""Faults of connections, as Toxiproxy makes them: its toxics and attributes in camelCase, with units.

    - latency: {latency: 100ms, jitter: 10ms}
      to: ratings
      from: reviews-v2

`toxicity` is the share of *connections* that a toxic takes, drawn once for each. Sidecars keep connections for many
requests, so it is no share of requests: `abort` and `delay` have one (`percentage`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from meshtest.scenario.fault_identity import flag
from meshtest.scenario.fields import Key, Shape, any_of, key, record, shown, unknown
from meshtest.scenario.scalars import duration, integer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.scenario.fields import Spot


class Stream(Enum):
    """Which way the bytes go that a toxic takes."""

    UPSTREAM = "upstream"
    """From the caller to the callee."""
    DOWNSTREAM = "downstream"
    """From the callee to the caller."""
    BOTH = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class Toxic:
    """What every toxic has."""

    stream: Stream = Stream.DOWNSTREAM
    toxicity: float = 1.0
    """Share of the connections, each drawn once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency(Toxic):
    """Bytes arrive later, in seconds; a TLS handshake takes it once or twice."""

    latency: float
    jitter: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bandwidth(Toxic):
    """Bytes arrive at a limited rate, in KB per second."""

    rate: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowClose(Toxic):
    """The end of a connection arrives later, in seconds."""

    delay: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeout(Toxic):
    """Nothing arrives any more, and the connection is closed after some seconds; 0: never, a black hole."""

    timeout: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetPeer(Toxic):
    """The connection is reset (RST) some seconds after the first bytes; 0: at once."""

    timeout: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Slicer(Toxic):
    """Bytes arrive in small pieces, with seconds between them."""

    average_size: int
    size_variation: int = 0
    delay: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitData(Toxic):
    """The connection is closed after so many bytes; a TLS handshake takes some 2,000 of them."""

    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Down:
    """Nobody listens: every connection is refused."""


def _whole(unit: int, name: str, *, zero: bool) -> Shape[float]:
    """A duration in whole milliseconds or microseconds: Toxiproxy counts in no smaller ones."""
    plain = duration(zero=zero)

    def read(value: Any, spot: Spot) -> float:
        seconds = plain.read(value, spot)
        if abs(seconds * unit - round(seconds * unit)) > 1e-6:
            raise spot.error(f"{value} is not a whole number of {name}", expected=plain.expected)
        return seconds

    return Shape(expected=plain.expected, read=read, schema=plain.schema)


def _stream() -> Shape[Stream]:
    words = [stream.value for stream in Stream]

    def read(value: Any, spot: Spot) -> Stream:
        if not isinstance(value, str) or value not in words:
            raise unknown(spot, "stream", value if isinstance(value, str) else shown(value), words)
        return Stream(value)

    return Shape(expected=any_of(words), read=read, schema={"enum": words})


def _toxicity() -> Shape[float]:
    expected = "a share of the connections, more than 0 and at most 1; it is no share of requests"

    def read(value: Any, spot: Spot) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1:
            raise spot.error(f"{shown(value)} is no toxicity", expected=expected)
        return float(value)

    return Shape(expected=expected, read=read, schema={"type": "number", "exclusiveMinimum": 0, "maximum": 1})


def _varies_less_than_it_has(slicer: Slicer, spot: Spot) -> None:
    if slicer.size_variation >= slicer.average_size:
        raise spot.key("sizeVariation").error(
            f"{slicer.size_variation} is not less than averageSize", expected="pieces of at least one byte"
        )


_MS = _whole(1000, "milliseconds", zero=False)
_MS_OR_NONE = _whole(1000, "milliseconds", zero=True)
_US_OR_NONE = _whole(1_000_000, "microseconds", zero=True)
_EVERY: Mapping[str, Key] = {"stream": key("stream", _stream()), "toxicity": key("toxicity", _toxicity())}

CONNECTION_FAULTS: Mapping[str, Shape[Any]] = {
    "latency": record(
        Latency,
        {"latency": key("latency", _MS, required=True), "jitter": key("jitter", _MS_OR_NONE), **_EVERY},
    ),
    "bandwidth": record(
        Bandwidth, {"rate": key("rate", integer(least=1, what="KB per second"), required=True), **_EVERY}
    ),
    "slowClose": record(SlowClose, {"delay": key("delay", _MS, required=True), **_EVERY}),
    "timeout": record(Timeout, {"timeout": key("timeout", _MS_OR_NONE), **_EVERY}, empty=True),
    "resetPeer": record(ResetPeer, {"timeout": key("timeout", _MS_OR_NONE), **_EVERY}, empty=True),
    "slicer": record(
        Slicer,
        {
            "averageSize": key("average_size", integer(least=1, what="bytes"), required=True),
            "sizeVariation": key("size_variation", integer(least=0, what="bytes")),
            "delay": key("delay", _US_OR_NONE),
            **_EVERY,
        },
        verify=_varies_less_than_it_has,
    ),
    "limitData": record(
        LimitData, {"bytes": key("bytes", integer(least=0, what="bytes"), required=True), **_EVERY}
    ),
    "down": flag(Down()),
}
"""The kinds of connection faults, in the words of a scenario."""
