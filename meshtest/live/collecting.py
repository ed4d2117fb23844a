"""What sidecars told others about requests: spans that collectors received, and lines on their standard output. Pure.

Both name a request by its request id: the exchange's (`traffic.request_ids`), or the one that a gateway gives it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from meshtest.mesh.proxy_config import proxy_name
from meshtest.traffic.model import LogLine, Span
from meshtest.traffic.request_ids import exchange_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from meshtest.mesh.model import Pod
    from meshtest.traffic.model import Exchange

_T = TypeVar("_T")
REQUEST_ID = "guid:x-request-id"
_NODE = re.compile(r"~(?P<ip>[^~]+)~(?P<name>[^~]+)\.(?P<namespace>[^.~]+)~")
_IDS = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def spans_of(noted: Iterable[Mapping[str, Any]], pods: Iterable[Pod]) -> Mapping[str, Sequence[Span]]:
    """The spans that a collector noted, by exchange."""
    by_name: dict[str, str] = {}
    for pod in pods:  # several versions of an application have the same name
        by_name[proxy_name(pod)] = "" if proxy_name(pod) in by_name else pod.key
    found: defaultdict[str, list[Span]] = defaultdict(list)
    for each in noted:
        tags = {str(name): str(value) for name, value in each["tags"].items()}
        if REQUEST_ID in tags:
            found[exchange_of(tags[REQUEST_ID])].append(_span(each, tags, by_name))
    return found


def _span(noted: Mapping[str, Any], tags: Mapping[str, str], by_name: Mapping[str, str]) -> Span:
    node = _NODE.search(tags.get("node_id", ""))
    service = str(noted["service"])
    return Span(
        pod=f"{node['namespace']}/{node['name']}" if node else by_name.get(service, ""),
        service=service,
        name=str(noted["name"]),
        kind=str(noted["kind"]),
        trace_id=str(noted["traceId"]),
        span_id=str(noted["spanId"]),
        parent_id=str(noted["parentId"]),
        protocol=str(noted["protocol"]),
        tags=tags,
    )


def lines_of(logs: Mapping[str, str]) -> Mapping[str, Sequence[LogLine]]:
    """The lines of sidecars' output (pod -> text) that name a request, by exchange."""
    found: defaultdict[str, list[LogLine]] = defaultdict(list)
    for pod, text in logs.items():
        for line in text.splitlines():
            for identity in set(_IDS.findall(line)):
                found[exchange_of(identity)].append(LogLine(pod=pod, text=line))
    return found


def with_telemetry(
    exchanges: Iterable[Exchange],
    spans: Mapping[str, Sequence[Span]] | None,
    lines: Mapping[str, Sequence[LogLine]],
) -> list[Exchange]:
    """The exchanges with what was collected about them; None: there is nothing that collects."""
    return [
        replace(
            each,
            spans=None if spans is None else tuple(_named(each, spans)),
            access_log=tuple(_named(each, lines)),
        )
        for each in exchanges
    ]


def _named(exchange: Exchange, told: Mapping[str, Sequence[_T]]) -> Iterator[_T]:
    """What is told by the exchange's own id, and by those that proxies gave it: gateways do so for callers outside."""
    given = (str(hop.raw.get("request_id") or "") for hop in exchange.hops)
    for name in dict.fromkeys((exchange.id, *map(exchange_of, given))):
        yield from told.get(name, ())
