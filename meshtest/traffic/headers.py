"""The headers that the driver adds: the exchange's id, and the marks of the faults that hit it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.traffic.request_ids import request_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshtest.traffic.model import Request

MARK = "mtf."
ID_MEMBER = "meshtest="
MIRROR_MEMBER = "meshtest-mirror=1"
"""What sidecars add to the baggage of a copy that a route mirrors."""


def baggage(exchange: str, marks: Sequence[str], given: Iterable[str] = ()) -> str:
    """The W3C baggage of a request: `meshtest=<id>`, the marks, then what the user gave."""
    return ",".join((ID_MEMBER + exchange, *marks, *given))


def given_baggage(request: Request) -> list[str]:
    """The values of the user's own baggage headers."""
    return [value for name, value in request.headers if name.lower() == "baggage"]


def has_header(request: Request, name: str) -> bool:
    """Whether the user gave a header of this name."""
    return any(each.lower() == name for each, _ in request.headers)


def adds_id(request: Request) -> bool:
    """Whether the driver adds a request id of its own."""
    return request.request_id and not has_header(request, "x-request-id")


def all_headers(request: Request, exchange: str, marks: Sequence[str]) -> list[tuple[str, str]]:
    """The user's headers verbatim and in order (baggage joined at the end), then the driver's own."""
    headers = [(name, value) for name, value in request.headers if name.lower() != "baggage"]
    if adds_id(request):
        headers.append(("x-request-id", request_id(exchange)))
    headers.append(("baggage", baggage(exchange, marks, given_baggage(request))))
    return headers


def marked_faults(marks: Iterable[str]) -> tuple[str, ...]:
    """The ids of the faults whose marks these are."""
    return tuple(mark.partition("=")[0].removeprefix(MARK) for mark in marks if mark.startswith(MARK))


def encoded(text: str) -> bytes:
    """Header text as bytes: whatever bytes the user wrote, UTF-8 where it is beyond ASCII."""
    return text.encode("utf-8", "surrogateescape")
