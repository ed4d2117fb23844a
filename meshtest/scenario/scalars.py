"""The words, numbers and times that stand in scenarios."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from meshtest.scenario.fields import Shape, any_of, shown, unknown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshtest.scenario.fields import Spot

SLUG = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
SLUG_PATTERN = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
MAX_SLUG = 63
# Go's time.ParseDuration, without its sign
DURATION = re.compile(r"(?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+\Z")
DURATION_PART = re.compile(r"(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)")
UNITS = {"ns": "1e-9", "us": "1e-6", "µs": "1e-6", "ms": "1e-3", "s": "1", "m": "60", "h": "3600"}
GRPC_CODES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
    "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip


def text(expected: str = "a string", *, empty: bool = False) -> Shape[str]:
    """A string."""

    def read(value: Any, spot: Spot) -> str:
        if not isinstance(value, str):
            raise spot.error(f"{shown(value)} is not a string", expected=expected)
        if not value and not empty:
            raise spot.error("the string is empty", expected=expected)
        return value

    return Shape(
        expected=expected, read=read, schema={"type": "string"} | ({} if empty else {"minLength": 1})
    )


def scalar_text(expected: str = "a string") -> Shape[str]:
    """A string, or a number or boolean that is sent as it is written."""

    def read(value: Any, spot: Spot) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (str, int, float)):
            return str(value)
        raise spot.error(f"{shown(value)} is not a string", expected=expected)

    return Shape(expected=expected, read=read, schema={"type": ["string", "number", "boolean"]})


def boolean(expected: str = "true or false") -> Shape[bool]:
    """True or false."""

    def read(value: Any, spot: Spot) -> bool:
        if not isinstance(value, bool):
            raise spot.error(f"{shown(value)} is neither true nor false", expected=expected)
        return value

    return Shape(expected=expected, read=read, schema={"type": "boolean"})


def integer(*, least: int, most: int | None = None, what: str = "a whole number") -> Shape[int]:
    """A whole number in a range."""
    expected = f"{what} from {least} to {most}" if most is not None else f"{what} of at least {least}"

    def read(value: Any, spot: Spot) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise spot.error(f"{shown(value)} is not a whole number", expected=expected)
        if value < least or (most is not None and value > most):
            raise spot.error(f"{value} is out of range", expected=expected)
        return value

    schema: dict[str, Any] = {"type": "integer", "minimum": least}
    return Shape(expected=expected, read=read, schema=schema | ({} if most is None else {"maximum": most}))


def word(words: Iterable[str], what: str) -> Shape[str]:
    """One of the given words."""
    known = tuple(words)

    def read(value: Any, spot: Spot) -> str:
        if not isinstance(value, str) or value not in known:
            raise unknown(spot, what, value if isinstance(value, str) else shown(value), known)
        return value

    return Shape(expected=any_of(known), read=read, schema={"enum": list(known)})


def slug(what: str) -> Shape[str]:
    """A DNS label, as in `metadata.name`."""
    expected = "lower-case letters, digits and '-', at most 63 of them, as for metadata.name"

    def read(value: Any, spot: Spot) -> str:
        if not isinstance(value, str) or not SLUG.match(value) or len(value) > MAX_SLUG:
            raise spot.error(f"{shown(value)} is no {what}", expected=expected)
        return value

    schema = {"type": "string", "pattern": SLUG_PATTERN, "maxLength": MAX_SLUG}
    return Shape(expected=expected, read=read, schema=schema)


def seconds_of(value: Any) -> float | None:
    """What a duration as Go and Istio write it comes to; None if it is none."""
    if not isinstance(value, str) or not DURATION.match(value):
        return None
    parts = DURATION_PART.findall(value)
    return float(sum((Decimal(number) * Decimal(UNITS[unit]) for number, unit in parts), Decimal(0)))


def duration(*, zero: bool = False) -> Shape[float]:
    """A duration as Go and Istio write it, in seconds."""
    expected = "a duration such as 250ms, 1s or 1m30s"

    def read(value: Any, spot: Spot) -> float:
        seconds = seconds_of(value)
        if seconds is None:
            raise spot.error(f"{shown(value)} is not a duration", expected=expected)
        if seconds == 0 and not zero:
            raise spot.error("a duration of nothing", expected=expected)
        return seconds

    return Shape(
        expected=expected, read=read, schema={"type": "string", "pattern": f"^{DURATION.pattern[:-2]}$"}
    )


def percentage() -> Shape[float]:
    """`30%`, `30` or Istio's `{value: 30}`, as a number from 0 to 100."""
    expected = "a percentage such as 30%"

    def read(value: Any, spot: Spot) -> float:
        if isinstance(value, dict) and set(value) == {"value"}:
            return read(value["value"], spot.key("value"))
        try:
            number = Decimal(str(value).removesuffix("%").strip()) if not isinstance(value, bool) else None
        except InvalidOperation:
            number = None
        if number is None or not number.is_finite():
            raise spot.error(f"{shown(value)} is not a percentage", expected=expected)
        if not 0 <= number <= 100:
            raise spot.error(f"{value} is not between 0% and 100%", expected=expected)
        return float(number)

    plain = {
        "anyOf": [
            {"type": "number", "minimum": 0, "maximum": 100},
            {"type": "string", "pattern": r"^[0-9.]+ *%?$"},
        ]
    }
    nested = {
        "type": "object",
        "properties": {"value": plain},
        "required": ["value"],
        "additionalProperties": False,
    }
    return Shape(expected=expected, read=read, schema={"anyOf": [*plain["anyOf"], nested]})


def share() -> Shape[float]:
    """A percentage as a fraction from 0 to 1."""
    percent = percentage()

    def read(value: Any, spot: Spot) -> float:
        return float(Decimal(repr(percent.read(value, spot))) / 100)

    return Shape(expected=percent.expected, read=read, schema=percent.schema)


def probability() -> Shape[float]:
    """A number between 0 and 1, both excluded."""
    expected = "a probability such as 1e-6"

    def read(value: Any, spot: Spot) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1:
            raise spot.error(f"{shown(value)} is no probability between 0 and 1", expected=expected)
        return float(value)

    schema = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
    return Shape(expected=expected, read=read, schema=schema)


def regex(expected: str = "a regular expression") -> Shape[str]:
    """A regular expression that compiles."""

    def read(value: Any, spot: Spot) -> str:
        if not isinstance(value, str):
            raise spot.error(f"{shown(value)} is not a string", expected=expected)
        try:
            re.compile(value)
        except re.error as error:
            raise spot.error(f"{value!r} does not compile: {error}", expected=expected) from None
        return value

    return Shape(expected=expected, read=read, schema={"type": "string", "format": "regex"})


def grpc_status() -> Shape[int]:
    """A gRPC status by number or by name."""
    expected = "a gRPC status such as 14 or UNAVAILABLE"

    def read(value: Any, spot: Spot) -> int:
        if isinstance(value, str) and value.isdecimal():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(GRPC_CODES):
            return value
        if isinstance(value, str) and value.upper() in GRPC_CODES:
            return GRPC_CODES.index(value.upper())
        raise unknown(spot, "gRPC status", value if isinstance(value, str) else shown(value), GRPC_CODES)

    return Shape(expected=expected, read=read, schema={"type": ["integer", "string"]})


def anything(expected: str = "any mapping") -> Shape[dict[str, Any]]:
    """A mapping that somebody else judges."""

    def read(value: Any, spot: Spot) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise spot.error(f"{shown(value)} stands where a mapping must", expected=expected)
        return value

    return Shape(expected=expected, read=read, schema={"type": "object"})
