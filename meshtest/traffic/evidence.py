"""Which access log lines belong to an exchange, and which must exist. Pure.

    caller ─► sidecar, outbound ─► callee's sidecar, inbound ─► application ─► sidecar, outbound ─► ...
              one line a request   one per attempt that arrived                one per call it reports

HTTP lines are found by the exchange id in `baggage`; TCP lines by the address that connected: the caller's
own, then the `upstream_local` of each line found.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from meshtest.mesh.injection import interception
from meshtest.mesh.model import PodKind
from meshtest.traffic.backend import reply_of
from meshtest.traffic.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Protocol

    from meshtest.mesh.injection import InterceptionRules
    from meshtest.mesh.model import Backend, Pod
    from meshtest.traffic.model import BackendReply, Exchange

    Line = Mapping[str, Any]
    Services = Mapping[str, Mapping[int, Sequence[Backend]]]
    """Address that kube-proxy answers -> port -> pods behind it."""

    class Lines(Protocol):
        """Where lines are looked up."""

        def by_id(self, exchange: str) -> Sequence[Line]:
            """Lines that name an exchange."""

        def by_address(self, address: str) -> Sequence[Line]:
            """TCP lines by the address that connected."""


Place = tuple[str, str]
"""Pod and side."""

_SLACK = 0.05
"""Seconds by which a line's clock and the driver's may differ (Envoy caches its time for one loop)."""
_LOOPBACK = "127."
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


class Pods:
    """The pods by address, and what their sidecars intercept."""

    def __init__(
        self,
        pods: Iterable[Pod],
        silent: Iterable[str] = (),
        detours: Mapping[str, str] | None = None,
        services: Services | None = None,
        *,
        calm: bool = False,
    ) -> None:
        self._by_key = {pod.key: pod for pod in pods}
        self._by_ip = {pod.ip: pod for pod in self._by_key.values()}
        self._silent = frozenset(silent)
        self._detours = detours or {}
        self._services = services or {}
        self.calm = calm
        """No fault is about: who was connected to has been there, and has logged it."""
        self._rules: dict[str, InterceptionRules | None] = {}

    def caller(self, exchange: Exchange) -> Pod | None:
        """The pod whose sidecar took the exchange's connection, if one did."""
        pod = self._by_key.get(exchange.caller)
        if pod is None or not self._takes_outbound(pod, *_split(exchange.remote_address)):
            return None
        return pod

    def behind(self, address: str) -> tuple[Pod, str] | None:
        """The pod whose Envoy takes what is sent to `ip:port`, and on which side it logs it."""
        ip, port = _split(address)
        pod = self._by_ip.get(ip)
        if pod is None or pod.key in self._silent:
            return None
        if pod.kind is PodKind.GATEWAY:
            return pod, "gateway"
        rules = self._of(pod)
        if rules is None or port in rules.exclude_inbound_ports:
            return None
        if rules.include_inbound_ports is not None and port not in rules.include_inbound_ports:
            return None
        return pod, "inbound"

    def behind_service(self, address: str) -> frozenset[Place]:
        """One place for each pod that kube-proxy may send a connection to; none where some have no Envoy in front."""
        ip, port = _split(address)
        backends = self._services.get(ip, {}).get(port, ())
        found = [self.behind(f"{backend.ip}:{backend.port}") for backend in backends]
        return frozenset((there[0].key, there[1]) for there in found if there) if all(found) else frozenset()

    def own(self, caller: str, address: str) -> bool:
        """Whether a pod calls its own address: that stays on its loopback interface, past its sidecar."""
        pod, ip = self._by_key.get(caller), _split(address)[0]
        return pod is not None and (ip == pod.ip or ip.startswith(_LOOPBACK))

    def onward(self, line: Line) -> tuple[Pod, str] | None:
        """The pod whose Envoy took what a line tells of, and on which side it logs it.

        Behind a detour a connection has another address, by which no TCP line can be found.
        """
        upstream = line.get("upstream") or ""
        return self.behind(upstream if line.get("layer") == "tcp" else self._detours.get(upstream, upstream))

    def sidecar(self, key: str) -> bool:
        """Whether lines of this pod's sidecar can be expected, whatever the port."""
        pod = self._by_key.get(key)
        return pod is not None and self._of(pod) is not None and key not in self._silent

    def _takes_outbound(self, pod: Pod, ip: str, port: int) -> bool:
        rules = self._of(pod)
        if rules is None or pod.key in self._silent or ip in ("", pod.ip) or ip.startswith(_LOOPBACK):
            return False
        if port in rules.include_outbound_ports:
            return True
        if port in rules.exclude_outbound_ports or _within(ip, rules.exclude_outbound_ranges):
            return False
        return rules.include_outbound_ranges is None or _within(ip, rules.include_outbound_ranges)

    def _of(self, pod: Pod) -> InterceptionRules | None:
        if pod.key not in self._rules:
            self._rules[pod.key] = interception(pod)
        return self._rules[pod.key]


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
        more = [line for line in lines.by_address(address) if _overlaps(line, exchange) and line not in found]
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
        side = "inbound" if _split(exchange.remote_address)[1] == _INBOUND_PORT else "outbound"
        must[caller.key, side] += 1
    else:
        among = _among(exchange, pods)
        somewhere = not among and _entry(exchange, pods, must)
    for line in found:
        if line["side"] != "inbound":
            may += _onward(line, pods, must) + int(line.get("mirrors") or 0)
            among = among or (pods.behind_service(line.get("upstream") or "") if _answered(line) else among)
    if exchange.backend is not None and exchange.backend.calls:
        for place in _called(exchange.backend, pods):
            must[place] += 1
    return Wanted(must, may, somewhere, among)


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
    failed = bool(line.get("upstream_failure"))
    connected = bool(line.get("upstream_local")) and not failed and not flags & _NOT_SENT
    if _answered(line) or (pods.calm and connected):
        must[place] += not _opaque(line, there[0])
        return attempts - 1
    return attempts - 1 if flags & _NOT_SENT and not failed else attempts


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


def _overlaps(line: Line, exchange: Exchange) -> bool:
    """Whether the line's connection lived during the exchange: ports are used again."""
    start = float(line.get("start") or 0.0)
    end = start + float(line.get("duration_ms") or 0.0) / 1000
    return start <= exchange.started + exchange.latency + _SLACK and end >= exchange.started - _SLACK


def _split(address: str) -> tuple[str, int]:
    ip, _, port = address.rpartition(":")
    return ip, int(port) if port.isdecimal() else 0


def _within(ip: str, ranges: Iterable[str]) -> bool:
    address = ipaddress.ip_address(ip)
    return any(address in ipaddress.ip_network(each, strict=False) for each in ranges)
