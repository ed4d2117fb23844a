"""What a check looks at: the exchanges it is about, the whole history, and what the mesh is.

History ──select(traffic, where)──► Evidence ──► a check
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshtest.mesh.manifests import merge
from meshtest.mesh.route_rules import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshtest.errors import Location
    from meshtest.mesh.model import Manifest, MeshModel, Pod
    from meshtest.traffic.model import Exchange, Hop
    from meshtest.traffic.record import History


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What checks must know of the mesh."""

    pods: Mapping[str, Pod] = field(default_factory=dict)
    """`namespace/name` -> pod."""
    policies: Mapping[tuple[str, str, str], Location] = field(default_factory=dict)
    """(kind, namespace, name) -> where it is written."""
    routes: tuple[Manifest, ...] = ()
    """Routes of the Gateway API."""
    traffic: Mapping[str, str] = field(default_factory=dict)
    """Exchange id -> name of the traffic that sent it."""

    def locate(self, kind: str, namespace: str, name: str) -> Location | None:
        """Where a policy is written."""
        return self.policies.get((kind, namespace, name))

    def pod_at(self, address: str) -> Pod | None:
        """The pod of an address, given with or without port."""
        host = address.rpartition(":")[0] or address
        return next((pod for pod in self.pods.values() if pod.ip == host), None)

    def is_at(self, pod_key: str, place: str) -> bool:
        """Whether a pod is meant by the name of a workload or pod, `name` or `namespace/name`."""
        pod = self.pods.get(pod_key)
        if pod is None:
            return place in (pod_key, pod_key.rpartition("/")[2])
        return place in (pod.key, pod.name, pod.workload_key, pod.workload)


def facts_of(
    model: MeshModel,
    policies: Iterable[Manifest] = (),
    traffic: Mapping[str, str] | None = None,
    *,
    gone: Iterable[Pod] = (),
) -> Facts:
    """The facts of a mesh, with the policies that a scenario brings besides and the pods that are `gone` by now."""
    manifests = merge(model.manifests, policies)
    places = {
        (manifest.ref.kind, manifest.ref.namespace, manifest.ref.name): manifest.location
        for manifest in manifests
    }
    return Facts(
        pods={pod.key: pod for pod in (*gone, *model.pods)},
        policies=places,
        routes=tuple(manifest for manifest in manifests if manifest.ref.kind in KINDS),
        traffic=traffic or {},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What one check judges."""

    exchanges: tuple[Exchange, ...]
    """Those that the check is about."""
    history: History
    facts: Facts = field(default_factory=Facts)


def caller_hops(exchange: Exchange, facts: Facts, by: str = "") -> list[Hop]:
    """The outbound log lines of the caller's sidecar, or of `by`'s; without one, the gateway's."""
    outbound = [hop for hop in exchange.hops if hop.side == "outbound" and not hop.mirror]
    if by:
        return [hop for hop in exchange.hops if hop.side != "inbound" and facts.is_at(hop.pod, by)]
    own = [hop for hop in outbound if hop.pod == exchange.caller]
    return own or [hop for hop in exchange.hops if hop.side == "gateway"][:1]


def inbound_hops(exchange: Exchange, facts: Facts, place: str = "") -> list[Hop]:
    """The inbound log lines, of everybody or of one workload or pod; a gateway is its own inbound side.

    Those of mirrored copies count only where their workload is named.
    """
    if not place:
        return [hop for hop in exchange.hops if hop.side == "inbound" and not hop.mirror]
    return [
        hop for hop in exchange.hops if hop.side in ("inbound", "gateway") and facts.is_at(hop.pod, place)
    ]


def origin(hop: Hop, facts: Facts) -> Pod | None:
    """The pod at the other end of an inbound connection; X-Forwarded-For has no say in it."""
    return facts.pod_at(str(hop.raw.get("downstream_direct_remote") or ""))


def hit_by_fault(exchange: Exchange) -> bool:
    """Whether some sidecar did a fault's work on it."""
    return any(hop.faults for hop in exchange.hops)
