"""Where things stand in the run's network: pods at their own addresses, everything else where no pod is."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from meshtest.mesh.addresses import PORT_PAST_AGENTS
from meshtest.runtime.netns.links import RESOLVER

if TYPE_CHECKING:
    from meshtest.runtime.base import Lost, NetworkPlan, PodPlan
    from meshtest.runtime.docker.network import Network
    from meshtest.runtime.netns.rules import ClusterIps


class Placing:
    """The addresses of one sandbox; thread-safe."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._lock = threading.Lock()
        self._addresses: dict[str, str] = {}
        self._led: ClusterIps = {}
        """Addresses outside the pods' network -> port -> where they really lead."""
        self._real: dict[str, str] = {}

    def address(self, name: str) -> str:
        """Where the process of this name can listen: an address that no pod has."""
        with self._lock:
            return self._addresses.setdefault(name, self._network.further(len(self._addresses)))

    def placed(self, plan: PodPlan) -> PodPlan:
        """What stands outside the pods' network is a container of it as well, at an address that no pod has.

        Who calls its own address is led there as to a cluster IP; one that listens nowhere is called by nobody, and may
        come when the rules of others have been set.
        """
        own = plan.pod.ip
        if self._network.has(own):
            return plan
        real = self._real[own] = self.address(plan.pod.key)
        if plan.pod.ports:
            self._led[own] = {port.number: [(real, port.number)] for port in plan.pod.ports}
        return replace(plan, pod=replace(plan.pod, ip=real))

    def cluster_ips(self, network: NetworkPlan) -> ClusterIps:
        """Those of the Services, the resolver's own, and the addresses outside."""
        found = {
            ip: {
                port: [(self.real(one.ip), one.port) for one in backends] for port, backends in ports.items()
            }
            for ip, ports in network.cluster_ips.items()
        }
        resolver = {port: [(self._network.resolver, port)] for port in (53, PORT_PAST_AGENTS)}
        return {**found, **self._led, RESOLVER: resolver}

    def real(self, address: str) -> str:
        """Where an address outside the pods' network really leads; every other one is itself."""
        return self._real.get(address, address)

    def really(self, lost: Lost) -> Lost:
        """The same with the addresses that packets really bear."""
        return replace(lost, source=self.real(lost.source), destination=self.real(lost.destination))
