"""Per-request control, in the words of the Gateway API conformance suite's echo server.

    ?delay=500ms                        wait before the answer (a Go duration)
    ?uuid=U&succeedAfter=N              the first N requests of U fail, with a reset of the connection,
        [&responseCode=503]             or with that status,
        [&delayRetry=1s]                after that long
    /status/418                         that status
    X-Echo-Set-Header: name:value, ...  headers of the answer; a repeated name is joined by commas

meshtest's own, since gRPC has other statuses and no queries:

    ?grpcStatus=14                      that gRPC status; with `succeedAfter`, of the failures only
    X-Meshtest-Control: delay=1s&...    the same as a query

Upstream: kubernetes-sigs/gateway-api-conformance-images, echo-basic. There, failures live below /retry/ only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SET_HEADER = "x-echo-set-header"
CONTROL_HEADER = "x-meshtest-control"

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)")
_STATUS = re.compile(r"/status/(\d\d\d)")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "content-type"})
_REMEMBERED = 100_000


class BadControl(ValueError):  # noqa: N818 - what it is, not that it is an error
    """Raised when a control parameter cannot be read; answered by `status`."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a request asks for."""

    delay: float = 0.0
    delay_retry: float = 0.0
    uuid: str = ""
    succeed_after: int = 0
    status: int | None = None
    """Of every answer: /status/NNN."""
    failure: int | None = None
    """Of the failing answers: responseCode."""
    grpc_status: int | None = None


def duration(text: str) -> float:
    """Seconds of a Go duration such as `1.5s`, `500ms` or `1m30s`."""
    body = text[1:] if text[:1] in {"+", "-"} else text
    if body == "0":
        return 0.0
    parts = list(_PART.finditer(body))
    if not parts or "".join(part[0] for part in parts) != body:
        raise BadControl(f'time: invalid duration "{text}"', 500)
    return 0.0 if text[0] == "-" else sum(float(part[1]) * _UNITS[part[2]] for part in parts)


def read_wish(path: str, headers: Mapping[str, Sequence[str]]) -> Wish | None:
    """What the query, the path and the control header ask for; None: nothing."""
    route, _, query = path.partition("?")
    asked = dict(parse_qsl(query)) if query else {}
    for value in headers.get(CONTROL_HEADER, ()):
        asked.update(parse_qsl(value))
    match = _STATUS.fullmatch(route)
    if not asked and match is None:
        return None
    return Wish(
        delay=duration(asked["delay"]) if "delay" in asked else 0.0,
        delay_retry=duration(asked["delayRetry"]) if "delayRetry" in asked else 0.0,
        uuid=asked.get("uuid", "") if "succeedAfter" in asked else "",
        succeed_after=_number(asked, "succeedAfter") or 0,
        status=_sendable(int(match[1])) if match else None,
        failure=_sendable(_number(asked, "responseCode")),
        grpc_status=_number(asked, "grpcStatus"),
    )


def _number(asked: Mapping[str, str], name: str) -> int | None:
    text = asked.get(name)
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise BadControl(f"{name} is not a number: {text!r}", 400) from None


def _sendable(status: int | None) -> int | None:
    if status is not None and not 200 <= status <= 999:
        raise BadControl(f"not the status of a final answer: {status}", 400)
    return status


def set_headers(values: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The answer's headers that `X-Echo-Set-Header` asks for; framing headers are not for the asking."""
    found: dict[str, str] = {}
    for each in ",".join(values).split(","):
        name, _, value = each.strip().partition(":")
        value = value.strip()
        if _TOKEN.fullmatch(name) and name.lower() not in _FRAMING:
            found[name] = f"{found[name]},{value}" if name in found else value
    return tuple(found.items())


class Failures:
    """How often requests of a uuid have failed already."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def next_fails(self, wish: Wish) -> bool:
        """Count one request; whether it is among the first `succeed_after` of its uuid."""
        if not wish.uuid:
            return False
        seen = self._seen.get(wish.uuid, 0)
        if seen >= wish.succeed_after:
            return False
        if len(self._seen) >= _REMEMBERED:
            self._seen.pop(next(iter(self._seen)))
        self._seen[wish.uuid] = seen + 1
        return True
