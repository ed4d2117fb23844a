"""Exchanges as the journal keeps them: counted in full, sampled, and laid out as columns and rows.

Exchange (or its JSON) ──entry──► ExchangeEntry ──pack──► Exchanges ──unpack──► ExchangeEntry
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

from meshtest.report.deciding import decided
from meshtest.report.model import ExchangeEntry, Exchanges, HopEntry, Strip, Summary
from meshtest.traffic.codec import exchange_from_dict

if TYPE_CHECKING:
    from collections.abc import Collection

    from meshtest.traffic.model import Decision, Exchange, Hop

KEPT = 2000
SLICES = 48
"""Of time, at most; fewer where there are few exchanges, so that none stays empty by chance."""
OK, CLIENT_ERROR, SERVER_ERROR, NO_RESPONSE = "ok", "client-error", "server-error", "no-response"
CLASSES = (OK, CLIENT_ERROR, SERVER_ERROR, NO_RESPONSE)
HOP_COLUMNS = tuple(HopEntry.__annotations__)
COLUMNS = tuple(ExchangeEntry.__annotations__)
_CALLER_MISTAKES = frozenset({3, 5, 6, 7, 9, 11, 16})
"""gRPC codes that blame the caller: invalid, not found, exists, denied, precondition, range, no identity."""


def read(source: object, name: str) -> Any:
    """A field of a dataclass or of its JSON; enums by value."""
    value = source.get(name) if isinstance(source, Mapping) else getattr(source, name, None)
    return value.value if isinstance(value, Enum) else value


def entry(exchange: Exchange | Mapping[str, Any]) -> ExchangeEntry:
    """What the journal keeps of an exchange, or of one that `traffic.codec` made JSON of."""
    one = exchange_from_dict(exchange) if isinstance(exchange, Mapping) else exchange
    backend = one.backend
    return {
        "id": one.id,
        "caller": one.caller,
        "method": one.request.method,
        "url": one.request.url,
        "protocol": one.protocol or one.request.protocol.value,
        "outcome": one.outcome.value,
        "status": one.status,
        "grpc_status": one.grpc_status,
        "started": one.started,
        "latency": one.latency,
        "late": one.sent_late,
        "backend": f"{backend.namespace}/{backend.workload}".removeprefix("/") if backend else "",
        "pod": backend.pod if backend else "",
        "attempts": one.attempts,
        "faults": list(one.faults),
        "error": one.error,
        "complete": one.complete,
        "hops": [
            _hop(hop, one.decided_by)
            for hop in sorted(one.hops, key=lambda hop: (hop.start, hop.side == "inbound"))
        ],
    }


def _hop(hop: Hop, decider: Decision | None) -> HopEntry:
    values = {name: getattr(hop, name, None) for name in HOP_COLUMNS}
    tls = hop.raw.get("upstream_tls")
    values |= {
        "faults": list(hop.faults),
        "upstream_tls": str(tls) if tls and tls != "-" else "",
        "decided": [list(each) for each in decided(hop, decider)],
    }
    return cast("HopEntry", {name: values[name] for name in HOP_COLUMNS})


def outcome_class(exchange: ExchangeEntry) -> str:
    """`ok`, `client-error`, `server-error` or `no-response`."""
    if exchange["outcome"] != "response":
        return NO_RESPONSE
    if exchange["grpc_status"]:
        return CLIENT_ERROR if exchange["grpc_status"] in _CALLER_MISTAKES else SERVER_ERROR
    status = exchange["status"] or 0
    return SERVER_ERROR if status >= 500 else CLIENT_ERROR if status >= 400 else OK


def outcome_label(exchange: ExchangeEntry) -> str:
    """`503`, `gRPC 14`, `timeout`; a TCP response has no status and is a `response`."""
    if exchange["outcome"] == "response" and exchange["grpc_status"]:
        return f"gRPC {exchange['grpc_status']}"
    if exchange["outcome"] == "response" and exchange["status"] is not None:
        return str(exchange["status"])
    return exchange["outcome"]


def pack(
    exchanges: Iterable[Exchange | Mapping[str, Any]], *, evidence: Collection[str] = (), limit: int = KEPT
) -> Exchanges:
    """The table of a history's exchanges: counted in full, then at most `limit` kept, in order of time."""
    entries = sorted(map(entry, exchanges), key=lambda one: one["started"])
    kept = sample(entries, evidence=evidence, limit=limit)
    return {
        "total": len(entries),
        "kept": len(kept),
        "left_out": len(entries) - len(kept),
        "summary": summarise(entries),
        "columns": list(COLUMNS),
        "hop_columns": list(HOP_COLUMNS),
        "rows": [_row(one) for one in kept],
    }


def _row(one: ExchangeEntry) -> list[Any]:
    values: dict[str, Any] = {**one, "hops": [list(hop.values()) for hop in one["hops"]]}
    return [values[name] for name in COLUMNS]


def unpack(exchanges: Exchanges) -> list[ExchangeEntry]:
    """The exchanges that a table keeps."""
    columns, hop_columns = exchanges.get("columns", []), exchanges.get("hop_columns", [])
    found = []
    for row in exchanges.get("rows", []):
        values = dict(zip(columns, row, strict=True))
        values["hops"] = [dict(zip(hop_columns, hop, strict=True)) for hop in values["hops"]]
        found.append(cast("ExchangeEntry", values))
    return found


def sample(entries: Sequence[ExchangeEntry], *, evidence: Collection[str], limit: int) -> list[ExchangeEntry]:
    """At most `limit`: all evidence, then all that failed, then an even sample of the rest; order is kept."""
    wanted = set(evidence)
    ranks: dict[int, list[int]] = {0: [], 1: [], 2: []}
    for index, one in enumerate(entries):
        ranks[0 if one["id"] in wanted else 1 if outcome_class(one) != OK else 2].append(index)
    chosen: list[int] = []
    for rank in ranks.values():
        chosen += _evenly(rank, limit - len(chosen))
    return [entries[index] for index in sorted(chosen)]


def _evenly(items: Sequence[int], count: int) -> Sequence[int]:
    if len(items) <= count:
        return items
    return [items[index * len(items) // count] for index in range(count)]


def summarise(entries: Sequence[ExchangeEntry]) -> Summary:
    """Counts and percentiles of exchanges that are in order of time."""
    latencies = sorted(one["latency"] * 1000 for one in entries)
    return {
        "outcomes": dict(Counter(map(outcome_label, entries)).most_common()),
        "classes": dict(Counter(map(outcome_class, entries)).most_common()),
        "backends": dict(Counter(one["backend"] for one in entries).most_common()),
        "attempts": {
            str(n): count for n, count in sorted(Counter(one["attempts"] or 0 for one in entries).items())
        },
        "latency_ms": {name: _percentile(latencies, share) for name, share in _PERCENTILES}
        if latencies
        else {},
        "strip": _strip(entries),
    }


_PERCENTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))


def _percentile(ordered: Sequence[float], share: float) -> float:
    """Nearest rank: always a latency that was really seen."""
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 3)


def _strip(entries: Sequence[ExchangeEntry]) -> Strip:
    if not entries:
        return {"start": 0.0, "width": 0.0, "bins": []}
    start, stop = entries[0]["started"], entries[-1]["started"]
    slices = min(SLICES, max(6, len(entries) // 5))
    width = max(stop - start, 0.001) / slices
    bins: list[Counter[str]] = [Counter() for _ in range(slices)]
    for one in entries:
        bins[min(slices - 1, int((one["started"] - start) / width))][outcome_class(one)] += 1
    return {"start": start, "width": width, "bins": [dict(counted) for counted in bins]}
