"""Which access log lines belong to an exchange, and which must exist. Pure.

    caller ─► sidecar, outbound ─► callee's sidecar, inbound ─► application ─► sidecar, outbound ─► ...
              one line a request   one per attempt that arrived                one per call it reports

HTTP lines are found by the exchange id in `baggage`; TCP lines by the address that connected: the caller's
own, then the `upstream_local` of each line found.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from meshtest.traffic.backend import reply_of
from meshtest.traffic.model import Outcome
from meshtest.traffic.places import split

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Protocol

    from meshtest.mesh.model import Pod
    from meshtest.traffic.model import BackendReply, Exchange
    from meshtest.traffic.places import Line, Place, Pods

    class Lines(Protocol):
        """Where lines are looked up."""

        def by_id(self, exchange: str) -> Sequence[Line]:
            """Lines that name an exchange."""

        def by_address(self, address: str) -> Sequence[Line]:
            """TCP lines by the address that connected."""


_SLACK = 0.05
"""Seconds by which a line's clock and the driver's may differ (Envoy caches its time for one loop)."""
_INBOUND_PORT = 15006
"""Outbound, too, Envoy takes for the listener of this port what goes to it, whatever the address."""
_NOT_SENT = frozenset({"UF", "UH", "NR", "NC", "UO", "DPE"})
"""Envoy's response flags of requests that never left for a pod."""
_BROKEN = frozenset({Outcome.RESET, Outcome.HANDSHAKE_FAILURE})
"""How an exchange ends that an Envoy has refused."""
_BY_ID = ("http://", "h2c://", "grpc://", "ws://")
"""Schemes of calls whose lines carry the id."""


class Lack(Enum):
    """What an exchange still waits for."""

    NOTHING = 0
    MAY = 1
    """Lines that need not exist: of attempts that may not have reached a pod."""
    MUST = 2


class Wanted(NamedTuple):
    """Numbers of lines per place; `somewhere` where only the side of the mesh is known."""

    must: Counter[Place]
    may: int
    somewhere: bool
    among: frozenset[Place] = frozenset()
    """Places of which one must have a line."""


def gather(exchange: Exchange, lines: Lines) -> list[Line]:
    """The lines about an exchange."""
    found = list(lines.by_id(exchange.id))
    return _told_once(_gather(exchange, lines, found)) if exchange.local_address else found


def _told_once(found: list[Line]) -> list[Line]:
    """Without the lines of connections whose requests are told of.

    A listener takes plaintext that it looked into for TLS for a failed handshake and logs that, too.
    """
    connections = [line for line in found if line.get("layer") == "tcp"]
    if not connections or len(connections) == len(found):
        return found
    served = {_downstream(line) for line in found if line.get("layer") != "tcp"}
    return [line for line in found if line.get("layer") != "tcp" or _downstream(line) not in served]


def _downstream(line: Line) -> tuple[Any, Any]:
    return line["pod"], line.get("downstream_direct_remote")


def _gather(exchange: Exchange, lines: Lines, found: list[Line]) -> list[Line]:
    addresses = [exchange.local_address, *_sources(found)]
    asked: set[str] = set()
    while addresses:
        address = addresses.pop()
        if address in asked:
            continue
        asked.add(address)
        more = [line for line in lines.by_address(address) if overlaps(line, exchange) and line not in found]
        found += more
        addresses += _sources(more)
    return found


def missing(exchange: Exchange, found: Sequence[Line], pods: Pods) -> Lack:
    """Whether lines are missing that must, or that may, exist."""
    wanted = expected(exchange, found, pods)
    have = Counter((line["pod"], line["side"]) for line in found)
    if any(have[place] < number for place, number in wanted.must.items()):
        return Lack.MUST
    if wanted.among and not wanted.among & have.keys():
        return Lack.MUST
    if wanted.somewhere and not have:
        return Lack.MUST if exchange.outcome is Outcome.RESPONSE else Lack.MAY
    arrived = sum(number for (_, side), number in have.items() if side != "outbound")
    required = sum(number for (_, side), number in wanted.must.items() if side != "outbound")
    return Lack.MAY if arrived < required + wanted.may else Lack.NOTHING


def expected(exchange: Exchange, found: Sequence[Line], pods: Pods) -> Wanted:
    """The lines that an exchange must have, given those found so far."""
    must: Counter[Place] = Counter()
    if not exchange.local_address:  # it never got a connection
        return Wanted(must, 0, somewhere=False)
    may = 0
    somewhere = False
    among: frozenset[Place] = frozenset()
    caller = pods.caller(exchange)
    if caller is not None:
        must[caller.key, first_side(exchange)] += 1
    else:
        among = _among(exchange, pods)
        somewhere = not among and _entry(exchange, pods, must)
    for line in found:
        if line["side"] != "inbound":
            may += _onward(line, pods, must) + int(line.get("mirrors") or 0)
            if _answered(line) or (pods.calm and _connected(line)):
                among = among or pods.behind_service(line.get("upstream") or "")
    if exchange.backend is not None and exchange.backend.calls:
        for place in _called(exchange.backend, pods):
            must[place] += 1
    return Wanted(must, may, somewhere, among)


def first_side(exchange: Exchange) -> str:
    """On which side the sidecar of the caller logs it."""
    return "inbound" if split(exchange.remote_address)[1] == _INBOUND_PORT else "outbound"


def _among(exchange: Exchange, pods: Pods) -> frozenset[Place]:
    """The Envoys of which one took a request that no sidecar sent, where it was answered by way of a Service."""
    answered = exchange.outcome is Outcome.RESPONSE or (pods.calm and exchange.outcome in _BROKEN)
    return pods.behind_service(exchange.remote_address) if answered else frozenset()


def _entry(exchange: Exchange, pods: Pods, must: Counter[Place]) -> bool:
    """Where a request that no sidecar sent enters the mesh; True where it may, nobody knows at which pod."""
    if pods.own(exchange.caller, exchange.remote_address):
        return False
    there = pods.behind(exchange.remote_address)
    answered = exchange.outcome is Outcome.RESPONSE
    if there is not None:
        if answered:
            must[there[0].key, there[1]] += 1
        return not answered
    if not answered:
        return exchange.outcome is not Outcome.REFUSED
    backend = exchange.backend
    if backend is not None and pods.sidecar(f"{backend.namespace}/{backend.pod}"):
        must[f"{backend.namespace}/{backend.pod}", "inbound"] += 1
        return False
    return any(name.lower() == "server" and value == "istio-envoy" for name, value in exchange.headers)


def _onward(line: Line, pods: Pods, must: Counter[Place]) -> int:
    """Lines at the next pod: one in `must` if it surely answered, else counted as one that may exist."""
    there = pods.onward(line)
    attempts = max(1, int(line.get("attempts") or 1))
    if there is None:
        return attempts - 1
    place = (there[0].key, there[1])
    flags = frozenset((line.get("flags") or "").split(","))
    if _answered(line) or (pods.calm and _connected(line)):
        must[place] += not _opaque(line, there[0])
        return attempts - 1
    return attempts - 1 if flags & _NOT_SENT and not line.get("upstream_failure") else attempts


def _connected(line: Line) -> bool:
    """Whether there was a connection to upstream, and nothing wrong with it when it was made."""
    flags = frozenset((line.get("flags") or "").split(","))
    return bool(line.get("upstream_local")) and not line.get("upstream_failure") and not flags & _NOT_SENT


def _opaque(line: Line, pod: Pod) -> bool:
    """Whether a request went on inside TLS that ends in the application: its sidecar saw a connection only.

    That is logged when it ends, which may be long after, and once for all requests on it.
    """
    encrypted = line.get("layer") == "http" and bool(line.get("upstream_tls"))
    return encrypted and pod.identity not in (line.get("upstream_peer") or "").split(",")


def _answered(line: Line) -> bool:
    """Whether bytes came back from upstream, so that a pod was there."""
    if line.get("layer") == "tcp":
        return int(line.get("bytes_out") or 0) > 0
    details = line.get("details") or ""
    return bool(details.startswith(("via_upstream", "upstream_reset_after_response_started")))


def _called(backend: BackendReply, pods: Pods) -> Iterator[Place]:
    """Where the calls that an application reports have left, and those of the applications it called."""
    own = f"{backend.namespace}/{backend.pod}"
    intercepted = pods.sidecar(own)
    for call in backend.calls:
        if call.get("status") is None or not str(call.get("url", "")).startswith(_BY_ID):
            continue
        if intercepted:
            yield own, "outbound"
        body = call.get("body")
        inner = reply_of(body) if isinstance(body, dict) else None
        if inner is not None:
            yield from _called(inner, pods)


def _sources(lines: Iterable[Line]) -> list[str]:
    return [line["upstream_local"] for line in lines if line.get("upstream_local")]


def overlaps(line: Line, exchange: Exchange) -> bool:
    """Whether the line's connection lived during the exchange: ports are used again."""
    return _meet(_life(line), (exchange.started, exchange.started + exchange.latency))


def coincide(one: Line, other: Line) -> bool:
    """Whether what two lines are about was at the same time."""
    return _meet(_life(one), _life(other))


def _life(line: Line) -> tuple[float, float]:
    start = float(line.get("start") or 0.0)
    return start, start + float(line.get("duration_ms") or 0.0) / 1000


def _meet(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] <= other[1] + _SLACK and one[1] >= other[0] - _SLACK
