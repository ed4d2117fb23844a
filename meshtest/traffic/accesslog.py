"""One access log line of a sidecar or gateway as a Hop, and back. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshtest.traffic.headers import MIRROR_MEMBER
from meshtest.traffic.model import Hop
from meshtest.traffic.request_ids import exchange_of

if TYPE_CHECKING:
    from collections.abc import Mapping


def exchange_id(line: Mapping[str, Any]) -> str | None:
    """The exchange a line is about, by its baggage, else by its request id."""
    members = line.get("baggage")
    if members:
        start = members.find("meshtest=")
        if start >= 0:
            return str(members[start + 9 :].partition(",")[0].partition(";")[0].strip())
    found = line.get("request_id")
    return exchange_of(str(found)) if found else None


def hop_of(line: Mapping[str, Any]) -> Hop:
    """The Hop that a line tells of."""
    get = line.get
    status, faults = get("status"), get("faults")
    return Hop(
        pod=get("pod") or "",
        side=get("side") or "",
        layer=get("layer") or "",
        status=int(status) if status else None,
        flags=_text(get("flags")),
        details=_text(get("details")),
        attempts=int(get("attempts") or 0),
        attempt=int(get("attempt") or 1),
        route=_text(get("route")),
        config=_text(get("config")),
        cluster=_text(get("cluster")),
        upstream=_text(get("upstream")),
        peer=_text(get("peer")),
        tls=_text(get("tls")),
        upstream_peer=_text(get("upstream_peer")),
        start=float(get("start") or 0.0),
        duration_ms=float(get("duration_ms") or 0.0),
        faults=tuple(str(faults).split(",")) if faults and faults != "-" else (),
        mirror=MIRROR_MEMBER in (get("baggage") or ""),
        raw=line,
    )


def line_of(hop: Hop) -> dict[str, Any]:
    """The line a hop was made of, without its empty values; `hop_of` makes the same hop of it."""
    if hop.raw:
        return {key: value for key, value in hop.raw.items() if value is not None and value != "-"}
    return {
        "pod": hop.pod,
        "side": hop.side,
        "layer": hop.layer,
        "status": hop.status,
        "flags": hop.flags,
        "details": hop.details,
        "attempts": hop.attempts,
        "attempt": hop.attempt,
        "route": hop.route,
        "config": hop.config,
        "cluster": hop.cluster,
        "upstream": hop.upstream,
        "peer": hop.peer,
        "tls": hop.tls,
        "upstream_peer": hop.upstream_peer,
        "start": hop.start,
        "duration_ms": hop.duration_ms,
        "faults": ",".join(hop.faults),
        **({"baggage": MIRROR_MEMBER} if hop.mirror else {}),
    }


def _text(value: Any) -> str:
    return "" if value is None or value == "-" else str(value)
