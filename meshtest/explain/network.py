"""Where a connection of a pod goes, as the pods' redirects and cluster IPs have it; no Envoy is looked into."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from meshtest.mesh.injection import InterceptionRules, interception

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshtest.explain.wire import Wire
    from meshtest.mesh.model import MeshModel, Pod

OUTBOUND_PORT = 15001
INBOUND_PORT = 15006


class Place(Enum):
    """What a connection arrives at."""

    OUTBOUND = "the sidecar of the pod that it comes from"
    INBOUND = "the sidecar of the pod that it goes to"
    POD = "a port of a pod"
    REFUSED = "a port of a Service that it does not have"
    NOWHERE = "an address that no pod has"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One place where a connection may arrive."""

    place: Place
    wire: Wire
    pod: Pod | None = None


class Network:
    """The network of a mesh."""

    def __init__(self, model: MeshModel) -> None:
        self._model = model
        self._pods = {pod.ip: pod for pod in model.pods}

    def pod(self, address: str) -> Pod | None:
        """The pod that has an address."""
        return self._pods.get(address)

    def from_application(self, pod: Pod, wire: Wire) -> list[Arrival]:
        """Where a connection of a pod's application arrives: its own sidecar, or what it is addressed to."""
        rules = interception(pod)
        if wire.address.startswith("127."):
            return [Arrival(place=Place.POD, wire=wire, pod=pod)]
        if wire.address == pod.ip:  # over `lo`, which only Envoy's own calls leave through the redirect
            return [Arrival(place=Place.POD, wire=wire, pod=pod)]
        if rules is not None and _takes_outbound(rules, wire.address, wire.port):
            return [Arrival(place=Place.OUTBOUND, wire=wire, pod=pod)]
        return self._routed(wire)

    def from_envoy(self, pod: Pod, wire: Wire, *, to_application: bool = False) -> list[Arrival]:
        """Where a connection of a pod's Envoy arrives; one to its own application meets no redirect."""
        if to_application or wire.address.startswith("127."):
            return [Arrival(place=Place.POD, wire=wire, pod=pod)]
        return self._routed(wire)

    def _routed(self, wire: Wire) -> list[Arrival]:
        """Behind the router: cluster IPs become pods."""
        if wire.address not in self._model.cluster_ips:
            return [self._inbound(wire)]
        backends = self._model.cluster_ips[wire.address].get(wire.port, ())
        if not backends:
            return [Arrival(place=Place.REFUSED, wire=wire)]
        return [self._inbound(wire.to(one.ip, one.port)) for one in dict.fromkeys(backends)]

    def _inbound(self, wire: Wire) -> Arrival:
        pod = self._pods.get(wire.address)
        if pod is None:
            return Arrival(place=Place.NOWHERE, wire=wire)
        rules = interception(pod)
        taken = rules is not None and _takes_inbound(rules, wire.port)
        return Arrival(place=Place.INBOUND if taken else Place.POD, wire=wire, pod=pod)


def _takes_outbound(rules: InterceptionRules, address: str, port: int) -> bool:
    """In the order of the redirects (meshtest/runtime/netns/rules.py)."""
    if port in rules.exclude_outbound_ports or _within(address, rules.exclude_outbound_ranges):
        return False
    if port in rules.include_outbound_ports or rules.include_outbound_ranges is None:
        return True
    return _within(address, rules.include_outbound_ranges)


def _takes_inbound(rules: InterceptionRules, port: int) -> bool:
    if rules.include_inbound_ports is not None:
        return port in rules.include_inbound_ports
    return port not in rules.exclude_inbound_ports


def _within(address: str, ranges: Iterable[str]) -> bool:
    own = ipaddress.ip_address(address)
    return any(own in ipaddress.ip_network(one, strict=False) for one in ranges)
