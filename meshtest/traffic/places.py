"""Where in the mesh an address is: whose Envoy takes what is sent to it, and on which side that is logged. Pure."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from meshtest.mesh.injection import interception
from meshtest.mesh.model import PodKind
from meshtest.mesh.own_ports import OWN_PORTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshtest.mesh.injection import InterceptionRules
    from meshtest.mesh.model import Backend, Pod
    from meshtest.traffic.model import Exchange

    Line = Mapping[str, Any]
    Services = Mapping[str, Mapping[int, Sequence[Backend]]]
    """Address that kube-proxy answers -> port -> pods behind it."""

Place = tuple[str, str]
"""Pod and side."""

_LOOPBACK = "127."


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
        if pod is None or not self._takes_outbound(pod, *split(exchange.remote_address)):
            return None
        return pod

    def behind(self, address: str) -> tuple[Pod, str] | None:
        """The pod whose Envoy takes what is sent to `ip:port`, and on which side it logs it."""
        ip, port = split(address)
        pod = self._by_ip.get(ip)
        if pod is None or pod.key in self._silent:
            return None
        if pod.kind is PodKind.GATEWAY:
            return (pod, "gateway") if port not in OWN_PORTS else None
        rules = self._of(pod)
        if rules is None or port in rules.exclude_inbound_ports:
            return None
        if rules.include_inbound_ports is not None and port not in rules.include_inbound_ports:
            return None
        return pod, "inbound"

    def behind_service(self, address: str) -> frozenset[Place]:
        """One place for each pod that kube-proxy may send a connection to; none where some have no Envoy in front."""
        ip, port = split(address)
        backends = self._services.get(ip, {}).get(port, ())
        found = [self.behind(f"{backend.ip}:{backend.port}") for backend in backends]
        return frozenset((there[0].key, there[1]) for there in found if there) if all(found) else frozenset()

    def own(self, caller: str, address: str) -> bool:
        """Whether a pod calls its own address: that stays on its loopback interface, past its sidecar."""
        pod, ip = self._by_key.get(caller), split(address)[0]
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
        if port in OWN_PORTS and port not in self._services.get(ip, {}):
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


def split(address: str) -> tuple[str, int]:
    """Address and port of `ip:port`; port 0 where there is none."""
    ip, _, port = address.rpartition(":")
    return ip, int(port) if port.isdecimal() else 0


def _within(ip: str, ranges: Iterable[str]) -> bool:
    address = ipaddress.ip_address(ip)
    return any(address in ipaddress.ip_network(each, strict=False) for each in ranges)
