"""The faults that a scenario can ask for: one dataclass and one shape per kind, and the table of kinds.

A fault item is one kind and the keys that all kinds share:

    - abort: {httpStatus: 503}
      to: ratings
      attempts: [1]
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshtest.scenario.bounds import TextMatch, text_match
from meshtest.scenario.fault_connection import CONNECTION_FAULTS
from meshtest.scenario.fault_control_plane import CONTROL_PLANE_FAULTS, MAY_MEAN_ALL
from meshtest.scenario.fault_identity import IDENTITY_FAULTS
from meshtest.scenario.fault_name import NAME_FAULTS
from meshtest.scenario.fault_packet import PACKET_FAULTS
from meshtest.scenario.fault_workload import WORKLOAD_FAULTS
from meshtest.scenario.fields import Key, Shape, key, list_of, mapping_of, record
from meshtest.scenario.items import items_schema, read_item
from meshtest.scenario.scalars import duration, grpc_status, integer, percentage, slug, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.errors import Location
    from meshtest.scenario.fields import Spot


@dataclass(frozen=True, slots=True, kw_only=True)
class Abort:
    """The callee's side answers with a status instead of the application."""

    http_status: int | None = None
    grpc_status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """The request waits at the callee's side, in seconds."""

    fixed_delay: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRate:
    """The response's body comes at a limited rate."""

    kib_per_second: int


HttpAction = Abort | Delay | ResponseRate


def _one_status(abort: Abort, spot: Spot) -> None:
    if abort.http_status is not None and abort.grpc_status is not None:
        raise spot.error("httpStatus and grpcStatus both stand here", expected="one of them")


FAULTS: Mapping[str, Shape[Any]] = {
    "abort": record(
        Abort,
        {
            "httpStatus": key("http_status", integer(least=200, most=599, what="an HTTP status")),
            "grpcStatus": key("grpc_status", grpc_status()),
        },
        verify=_one_status,
    ),
    "delay": record(Delay, {"fixedDelay": key("fixed_delay", duration(), required=True)}),
    "responseRate": record(
        ResponseRate,
        {"kibPerSecond": key("kib_per_second", integer(least=1, what="KiB per second"), required=True)},
    ),
    **CONNECTION_FAULTS,
    **IDENTITY_FAULTS,
    **CONTROL_PLANE_FAULTS,
    **PACKET_FAULTS,
    **WORKLOAD_FAULTS,
    **NAME_FAULTS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PathMatch:
    """Which paths a fault meets; both empty: all."""

    exact: str = ""
    prefix: str = ""

    def holds(self, path: str) -> bool:
        """Whether a path, without its query, is meant."""
        return path == self.exact if self.exact else path.startswith(self.prefix)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultMatch:
    """Which requests a fault meets."""

    path: PathMatch | None = None
    method: str = ""
    headers: Mapping[str, TextMatch] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class During:
    """When a fault is in, in seconds from the start of the traffic; without `lasts`, until its end."""

    at: float = 0.0
    lasts: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultSpec:
    """One fault of a scenario."""

    kind: str
    action: object
    """What stands under the kind: the dataclass of its shape in `FAULTS`."""
    location: Location
    to: tuple[str, ...] = ()
    """Workloads, services or pods (`name` or `namespace/name`); `*` is everything. Empty: see `NEEDS_NO_PLACE`."""
    name: str = ""
    sender: tuple[str, ...] = ()
    """`from:`, the callers that it is limited to."""
    match: FaultMatch | None = None
    percentage: float = 100.0
    attempts: tuple[int, ...] = ()
    """Which attempts it meets; empty: all."""
    first: int | None = None
    """It meets the first N requests only."""
    during: During | None = None
    until: int | None = None
    """It is over when so many requests of the traffic have been sent."""

    @property
    def of_requests(self) -> bool:
        """Whether it rides on chosen requests, rather than being in force for everybody for a while."""
        return self.kind in REQUEST_KINDS


REQUEST_KINDS = frozenset({"abort", "delay", "responseRate"})
"""The kinds that are a matter of single requests."""
REQUEST_KEYS = ("match", "percentage", "attempts", "first")
"""The shared keys that choose requests; for every other kind they would mean nothing."""
NEEDS_NO_PLACE: frozenset[str] = MAY_MEAN_ALL | NAME_FAULTS.keys()
"""The kinds that may stand without `to:`."""
KNOWS_NO_CALLER: frozenset[str] = frozenset({*IDENTITY_FAULTS, *CONTROL_PLANE_FAULTS, *WORKLOAD_FAULTS})
"""The kinds that hit a workload whoever calls it, so that `from:` would mean nothing."""


def _path_is_absolute(path: PathMatch, spot: Spot) -> None:
    if path.exact and path.prefix:
        raise spot.error("exact and prefix both stand here", expected="one of them")
    if not (path.exact or path.prefix).startswith("/"):
        raise spot.error(
            f"{path.exact or path.prefix!r} does not begin with '/'", expected="a path such as /ratings"
        )


def _requests(requests: int) -> int:
    return requests


PATH_MATCH = record(
    PathMatch, {"exact": key("exact", text()), "prefix": key("prefix", text())}, verify=_path_is_absolute
)
FAULT_MATCH = record(
    FaultMatch,
    {
        "path": key("path", PATH_MATCH),
        "method": key("method", text("an HTTP method")),
        "headers": key("headers", mapping_of(text_match(), what="a mapping of header names")),
    },
)
PLACE = text("a workload, service or pod, as name or namespace/name")
COMMON: Mapping[str, Key] = {
    "name": key("name", slug("name of a fault")),
    "to": key("to", list_of(PLACE)),
    "from": key("sender", list_of(PLACE)),
    "match": key("match", FAULT_MATCH),
    "percentage": key("percentage", percentage()),
    "attempts": key("attempts", list_of(integer(least=1, what="the number of an attempt"))),
    "first": key("first", integer(least=1, what="a number of requests")),
    "during": key(
        "during",
        record(During, {"at": key("at", duration(zero=True)), "for": key("lasts", duration())}),
    ),
    "until": key(
        "until",
        record(
            _requests,
            {"requests": key("requests", integer(least=1, what="a number of requests"), required=True)},
        ),
    ),
}


def _read_fault(value: Any, spot: Spot) -> FaultSpec:
    kind, action, shared = read_item(value, spot, kinds=FAULTS, common=COMMON, what="kind of fault")
    if "to" not in shared and kind not in NEEDS_NO_PLACE:
        raise spot.error("misses 'to'", expected=COMMON["to"].shape.expected)
    if kind not in REQUEST_KINDS:
        _is_no_matter_of_requests(kind, shared, spot)
    _has_this_place(kind, shared, spot)
    if kind == "dns" and "to" not in shared and not action.host:
        raise spot.error("names no name", expected="to with a Service, or host under dns")
    if "until" in shared and (shared.get("during") or During()).lasts is not None:
        raise spot.key("until").error("until and during.for both say when it ends", expected="one of them")
    if shared.get("percentage") == 0:
        raise spot.key("percentage").error("0% meets no request", expected="more than 0%")
    return FaultSpec(kind=kind, action=action, location=spot.location, **shared)


def _has_this_place(kind: str, shared: Mapping[str, Any], spot: Spot) -> None:
    if "sender" in shared and kind in KNOWS_NO_CALLER:
        raise spot.key("from").error(f"{kind} hits a workload whoever calls it", expected="to, without from")
    if "to" in shared and kind == "controlPlane":
        raise spot.key("to").error(
            "there is one control plane for all",
            expected="no to; partialPush and rejectedPush are about some sidecars",
        )


def _is_no_matter_of_requests(kind: str, shared: Mapping[str, Any], spot: Spot) -> None:
    for name in REQUEST_KEYS:
        if name in shared:
            raise spot.key(name).error(
                f"{name} chooses requests, but {kind} meets whatever comes while it is in",
                expected=f"from, during and what stands under {kind}; or a fault of requests: "
                + ", ".join(sorted(REQUEST_KINDS)),
            )


FAULT: Shape[FaultSpec] = Shape(
    expected="a fault: abort, delay ... and where it goes",
    read=_read_fault,
    schema=items_schema(FAULTS, COMMON, also=lambda kind: [] if kind in NEEDS_NO_PLACE else ["to"]),
)
