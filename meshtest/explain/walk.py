"""Follows a request from its caller through every Envoy that it can cross.

caller ──► own sidecar, outbound ──► network ──► callee's sidecar, inbound ──► application
       └── without sidecar ─────────────┘    └─► gateway ──► network ──► ...
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from envoy.config.core.v3 import base_pb2

from meshtest.explain import chains, names
from meshtest.explain.crossing import cross
from meshtest.explain.here import Here
from meshtest.explain.model import Explanation, Way
from meshtest.explain.network import INBOUND_PORT, OUTBOUND_PORT, Network, Place
from meshtest.explain.wire import wire_of
from meshtest.mesh.model import PodKind
from meshtest.mesh.own_ports import METRICS, OWN_PORTS, PATHS
from meshtest.mesh.proxy_config import hides_metrics
from meshtest.traffic.model import Outcome
from meshtest.traffic.target import target_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshtest.explain.configuration import Configuration
    from meshtest.explain.network import Arrival
    from meshtest.explain.wire import Wire
    from meshtest.mesh.model import MeshModel, Pod
    from meshtest.traffic.model import Request

_DEEPEST = 12
"""Envoys in a row before a request is said to go in circles."""
_SECURE = frozenset(("tls", "https", "auto"))


def anything(_pod: Pod, _port: int) -> str | None:
    """Nothing is known of the applications."""
    return None


class Walker:
    """Explains the requests of one mesh."""

    def __init__(
        self,
        model: MeshModel,
        configuration: Callable[[Pod], Configuration],
        spoken: Callable[[Pod, int], str | None] = anything,
    ) -> None:
        """`spoken` is what an application speaks on a port: empty if it does not listen, None if that is not known."""
        self._model = model
        self._configuration = configuration
        self._spoken = spoken
        self._network = Network(model)
        self._pods = {pod.key: pod for pod in model.pods}

    def explain(self, caller: Pod, request: Request, identity: str = "") -> Explanation:
        """Every way that a request of a caller can go; `identity` is the one of a certificate that it shows itself."""
        ways: list[Way] = []
        target = target_of(request)
        host = request.address or target.host
        found = names.addresses(self._model, caller.namespace, host)
        if not found:
            ways = [Way(outcome=Outcome.UNRESOLVED, note=f"{host} does not resolve")]
        for address in found:
            wire = wire_of(request, caller.ip, address, identity)
            ways += self._spread(self._first(caller, wire, 0), len(found))
        shown = identity or (caller.identity if caller.has_envoy else "")
        return Explanation(caller=caller.key, identity=shown, request=request, ways=tuple(ways))

    def _first(self, caller: Pod, wire: Wire, depth: int) -> list[Way]:
        if caller.kind is PodKind.GATEWAY:
            arrivals = self._network.from_envoy(caller, wire)
        else:
            arrivals = self._network.from_application(caller, wire)
        return self._arrived(arrivals, depth)

    def _arrived(self, arrivals: list[Arrival], depth: int) -> list[Way]:
        return [way for one in arrivals for way in self._spread(self._arrive(one, depth), len(arrivals))]

    def _spread(self, ways: list[Way], among: int) -> list[Way]:
        return ways if among == 1 else [replace(way, one_of=way.one_of * among) for way in ways]

    def _arrive(self, arrival: Arrival, depth: int) -> list[Way]:
        pod, wire = arrival.pod, arrival.wire
        if depth > _DEEPEST:
            return [Way(outcome=Outcome.RESET, share=None, note="it goes in circles")]
        if pod is None:
            return [_refused(wire) if arrival.place is Place.REFUSED else _outside(wire)]
        if arrival.place is Place.POD:
            listener = chains.bound(self._listeners(pod), wire.address, wire.port) if pod.has_envoy else None
            if listener is None:
                return self._application(pod, wire)
            side = "gateway" if pod.kind is PodKind.GATEWAY else _side(listener)
            return cross(self._here(pod, side, depth), listener, wire)
        return self._redirected(arrival, pod, depth)

    def _redirected(self, arrival: Arrival, pod: Pod, depth: int) -> list[Way]:
        wire = arrival.wire
        entry = OUTBOUND_PORT if arrival.place is Place.OUTBOUND else INBOUND_PORT
        listener = chains.redirected(self._listeners(pod), entry, wire)
        if listener is None:
            return [Way(outcome=Outcome.REFUSED, answered_by=pod.key, note="its Envoy has no listener")]
        if _is_own(pod, wire) and chains.is_for_any_port(listener):
            return [_itself(pod, wire)]
        side = "outbound" if arrival.place is Place.OUTBOUND else "inbound"
        return cross(self._here(pod, side, depth), listener, wire)

    def _listeners(self, pod: Pod) -> list[object]:
        return list(self._configuration(pod).listeners)

    def _here(self, pod: Pod, side: str, depth: int) -> Here:
        here = pod

        def onward(pod: Pod, wire: Wire, *, to_application: bool) -> list[Way]:
            arrivals = self._network.from_envoy(pod, wire, to_application=to_application)
            return self._arrived(arrivals, depth + 1)

        def further(pod: str, to: str, wire: Wire) -> list[Way]:
            host, _, port = to.rpartition(":")
            opener = self._pods[pod]
            found = names.addresses(self._model, opener.namespace, host.strip("[]"))
            if not found:
                return [Way(outcome=Outcome.UNRESOLVED, note=f"{host} does not resolve there")]
            wire = replace(wire.to(found[0], int(port)), source=opener.ip)
            return self._first(opener, wire, depth + 1)

        return Here(
            model=self._model,
            pod=here,
            configuration=self._configuration(here),
            side=side,
            onward=onward,
            further=further,
        )

    def _application(self, pod: Pod, wire: Wire) -> list[Way]:
        if _is_own(pod, wire):
            return [_itself(pod, wire)]
        if pod.kind is PodKind.GATEWAY:
            return [Way(outcome=Outcome.REFUSED, answered_by=pod.key, note=f"nothing listens on {wire.port}")]
        spoken = self._spoken(pod, wire.port)
        if spoken == "":
            return [Way(outcome=Outcome.REFUSED, answered_by=pod.key, note=f"nothing listens on {wire.port}")]
        answered = Way(answered_by=pod.key, workload=pod.workload_key)
        return list(_over_tls(answered, wire, spoken)) if wire.layers else [answered]


def _is_own(pod: Pod, wire: Wire) -> bool:
    """Whether a pod's Envoy answers there for itself."""
    local = wire.address.startswith("127.")
    return (
        pod.has_envoy and wire.port in OWN_PORTS and (local or wire.port != METRICS or not hides_metrics(pod))
    )


def _itself(pod: Pod, wire: Wire) -> Way:
    if wire.request is None or wire.layers:
        return Way(outcome=Outcome.RESET, answered_by=pod.key, note="its Envoy takes plain HTTP only there")
    status = 200 if wire.request.path_only == PATHS[wire.port] else 404
    return Way(status=status, answered_by=pod.key, note="for itself")


def _over_tls(answered: Way, wire: Wire, spoken: str | None) -> Iterator[Way]:
    """TLS that ends at an application: whether it speaks it, and whether its certificate is taken."""
    refused = replace(
        answered, outcome=Outcome.HANDSHAKE_FAILURE, workload="", note="the application speaks no TLS"
    )
    if spoken is None:
        yield refused.when("if the application speaks no TLS")
    elif spoken not in _SECURE:
        yield refused
        return
    surely = spoken is not None
    if wire.layers[0].trusts is None:
        yield answered if surely else answered.when("if the application speaks TLS")
        return
    yield answered.when("if the application speaks TLS with a certificate that is taken")
    if surely:
        untrusted = replace(refused, note="the application's certificate is not taken")
        yield untrusted.when("if its certificate is not taken")


def _side(listener: object) -> str:
    return "outbound" if getattr(listener, "traffic_direction", 0) == base_pb2.OUTBOUND else "inbound"


def _refused(wire: Wire) -> Way:
    at = f"{wire.address}:{wire.port}"
    return Way(outcome=Outcome.REFUSED, answered_by=at, note="no pod is behind this port of a Service")


def _outside(wire: Wire) -> Way:
    return Way(
        answered_by=f"{wire.address}:{wire.port}",
        share=None,
        conditions=("if something answers at this address, which is no pod's",),
        note="outside the mesh",
    )
