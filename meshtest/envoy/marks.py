"""Fault marks: what the driver writes into `baggage` and the callee's sidecar reads back.

    baggage: meshtest=<exchange>,mtf.<fault id>=<percent-encoded spec>
    spec:    targets | sources | attempts | method | path | actions

A mark rides along with the request through every application that propagates `baggage`, and hits at the first
inbound sidecar that it matches; no configuration changes. `faults.lua` decodes exactly this.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote

PREFIX = "mtf."
ANYWHERE = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultMark:
    """One fault for the requests that carry it."""

    id: str
    """Letters, digits, `-`, `_` and `.`; it comes back as evidence in the access log."""
    targets: tuple[str, ...] = (ANYWHERE,)
    """`namespace/workload` or `namespace/pod` of the callee, or `*`."""
    sources: tuple[str, ...] = ()
    """Addresses that call; `ADDRESS=namespace/service-account` where the caller's certificate has to tell the callers
    of one address apart. Empty: anybody."""
    attempts: tuple[int, ...] = ()
    """Which attempts of the caller's sidecar; empty for all."""
    method: str = ""
    path: str = ""
    """`=/exact` or `^/prefix`, matched without the query; empty for all."""
    actions: tuple[str, ...] = ()
    """`abort:503` (HTTP), `grpc:14` (gRPC status), `delay:2000` (ms), `rate:64` (KiB/s of the response)."""


def baggage_member(mark: FaultMark) -> str:
    """The mark as one member of a `baggage` header."""
    fields = (
        "+".join(mark.targets),
        "+".join(mark.sources),
        "+".join(str(attempt) for attempt in mark.attempts),
        mark.method,
        mark.path,
        "&".join(mark.actions),
    )
    # Separators inside a field are escaped once more, so that a path may hold any of them.
    spec = "|".join(quote(field, safe="/+:&*^=-._~") for field in fields)
    return f"{PREFIX}{mark.id}={quote(spec, safe='')}"


def parse_member(member: str) -> FaultMark | None:
    """The mark in one member of a `baggage` header; None if it is somebody else's member."""
    key, _, value = member.strip().partition("=")
    if not key.startswith(PREFIX):
        return None
    fields = [unquote(field) for field in unquote(value).split("|")]
    if len(fields) != 6:
        return None
    targets, sources, attempts, method, path, actions = fields
    return FaultMark(
        id=key.removeprefix(PREFIX),
        targets=tuple(targets.split("+")),
        sources=tuple(source for source in sources.split("+") if source),
        attempts=tuple(int(attempt) for attempt in attempts.split("+") if attempt),
        method=method,
        path=path,
        actions=tuple(action for action in actions.split("&") if action),
    )


def parse_baggage(header: str) -> tuple[FaultMark, ...]:
    """All marks of a `baggage` header."""
    found = (parse_member(member) for member in header.split(","))
    return tuple(mark for mark in found if mark is not None)
