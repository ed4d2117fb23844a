"""Faults of identity: a workload's certificate, the root that it trusts, and the TLS that it speaks.

    caller's sidecar ══ TLS handshake ══ callee's sidecar        a bad client certificate: the callee refuses
         └─ `to:` is one of the two ─────────┘                   a bad server certificate: the caller refuses

The workload's Envoy gets it over SDS, as it gets every certificate, and opens its connections anew: a pooled one was
made with the old certificate and would bypass the fault.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshtest.errors import RuntimeFailure, ScenarioError
from meshtest.faults.making import faulty, line
from meshtest.faults.places import pods_at
from meshtest.scenario.fault_identity import (
    DAY,
    Certificate,
    Flaw,
    RootRemoved,
    Rotation,
    TlsLimits,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshtest.faults.base import Ground
    from meshtest.mesh.model import MeshModel, Pod
    from meshtest.scenario.faults import FaultSpec
    from meshtest.traffic.model import Exchange, Hop
    from meshtest.waiting import Timeouts
    from meshtest.wire import Channel

_HOUR = 3600.0
_TERMS: dict[Flaw, dict[str, Any]] = {
    Flaw.EXPIRED: {"not_before": -2 * _HOUR, "not_after": -_HOUR},
    Flaw.NOT_YET_VALID: {"not_before": _HOUR, "not_after": 2 * _HOUR},
    Flaw.UNKNOWN_CA: {"ca": "unknown"},
    Flaw.SELF_SIGNED: {"ca": "self-signed"},
}


def certificate(
    *,
    to: str | Sequence[str],
    expired: bool = False,
    not_yet_valid: bool = False,
    unknown_ca: bool = False,
    self_signed: bool = False,
    identity: str = "",
    trust_domain: str = "",
    **where: Any,
) -> FaultSpec:
    """Have a workload show another certificate, as client and as server; exactly one flaw.

    Args:
        to: workloads, services or pods.
        expired: it was valid until an hour ago.
        not_yet_valid: it will be in an hour.
        unknown_ca: signed by an authority that the mesh does not trust.
        self_signed: signed by nobody else.
        identity: the SPIFFE identity of somebody else, signed by the mesh's own authority.
        trust_domain: its own service account, of another trust domain.
        where: `name`, `during=(at, for)` in seconds.
    """
    chosen = {
        Flaw.EXPIRED: expired,
        Flaw.NOT_YET_VALID: not_yet_valid,
        Flaw.UNKNOWN_CA: unknown_ca,
        Flaw.SELF_SIGNED: self_signed,
        Flaw.WRONG_IDENTITY: identity,
        Flaw.WRONG_TRUST_DOMAIN: trust_domain,
    }
    flaws = [flaw for flaw, value in chosen.items() if value]
    if len(flaws) != 1:
        found = " and ".join(flaw.value for flaw in flaws) or "no flaw"
        raise ScenarioError(
            f"{found} given", location=line(1), key="certificate", expected="one of its flaws"
        )
    action = Certificate(flaw=flaws[0], spiffe=identity, trust_domain=trust_domain)
    return faulty("certificate", action, to, where)


def root_removed(*, to: str | Sequence[str], **where: Any) -> FaultSpec:
    """Have a workload no longer trust the mesh's root: it refuses everybody."""
    return faulty("rootRemoved", RootRemoved(), to, where)


def rotation(*, to: str | Sequence[str], every: float, lifetime: float = DAY, **where: Any) -> FaultSpec:
    """Give a workload a new certificate every so many seconds, each valid for `lifetime` seconds."""
    return faulty("rotation", Rotation(every=every, lifetime=lifetime), to, where)


def tls(
    *, to: str | Sequence[str], max_version: str = "", cipher_suites: Sequence[str] = (), **where: Any
) -> FaultSpec:
    """Have a workload speak old or weak TLS only: `TLSv1_0` to `TLSv1_2`, OpenSSL's names of cipher suites."""
    limits = TlsLimits(max_version=max_version, cipher_suites=tuple(cipher_suites))
    return faulty("tls", limits, to, where)


@dataclass(slots=True, kw_only=True)
class Misidentified:
    """The sidecars of some pods with something wrong in their TLS."""

    pods: Sequence[Pod]
    terms: dict[str, dict[str, Any]]
    """Proxy -> what the control plane is asked for."""
    placement: str
    control_plane: Channel
    timeouts: Timeouts
    members: tuple[str, ...] = ()
    _touched: bool = False

    @property
    def spots(self) -> tuple[str, ...]:
        """Each certificate."""
        return _spots(self.pods)

    def inject(self) -> None:
        """Hand it out; returns when every Envoy uses it and no older connection is left."""
        self._touched = True
        self._tell(self.terms)

    def recover(self) -> None:
        """Hand out the true ones."""
        if self._touched:
            self._tell({pod.node_id: {"reset": True} for pod in self.pods})
            self._touched = False

    def hits(self, exchanges: Sequence[Exchange]) -> int:
        """How many exchanges made or tried a TLS connection with these pods."""
        return len([each for each in exchanges if involves(each, self.pods)])

    def _tell(self, told: dict[str, dict[str, Any]]) -> None:
        within = self.timeouts.push
        tickets = [
            self.control_plane.start("identity", proxy=node, within=within, **terms)
            for node, terms in told.items()
        ]
        for ticket in tickets:
            self.control_plane.result(ticket, timeout=within + 5)


@dataclass(slots=True, kw_only=True)
class Rotated:
    """The sidecars of some pods get certificate after certificate; nobody should notice."""

    pods: Sequence[Pod]
    action: Rotation
    placement: str
    control_plane: Channel
    timeouts: Timeouts
    members: tuple[str, ...] = ()
    count: int = field(default=0)
    """How many certificates each of them got, at least."""
    _turning: bool = False

    @property
    def spots(self) -> tuple[str, ...]:
        """Each certificate."""
        return _spots(self.pods)

    def inject(self) -> None:
        """Begin, with a first new certificate each."""
        self._turning = True
        terms = {"every": self.action.every, "lifetime": self.action.lifetime}
        self.count = min((int(self._ask("rotation", pod, **terms)["count"]) for pod in self.pods), default=0)

    def recover(self) -> None:
        """End it, with one more certificate each, of the usual lifetime."""
        if not self._turning:
            return
        self._look()
        self._turning = False
        for pod in self.pods:
            self._ask("identity", pod, reset=True, reconnect=False)

    def hits(self, exchanges: Sequence[Exchange]) -> int:
        """How many exchanges made or used a TLS connection with these pods, if their certificates were replaced."""
        if self._turning:
            self._look()
        return len([each for each in exchanges if involves(each, self.pods)]) if self.count else 0

    def _look(self) -> None:
        try:
            found = min((int(self._ask("rotation", pod)["count"]) for pod in self.pods), default=0)
        except RuntimeFailure:
            return  # another fault has the control plane down: what is known stays
        self.count = max(self.count, found)

    def _ask(self, op: str, pod: Pod, **fields: Any) -> dict[str, Any]:
        return self.control_plane.call(op, timeout=self.timeouts.push, proxy=pod.node_id, **fields).header


def involves(exchange: Exchange, pods: Sequence[Pod]) -> bool:
    """Whether a TLS handshake or connection of an exchange had one of the pods at an end."""
    keys = {pod.key for pod in pods}
    addresses = {pod.ip for pod in pods}
    return any(_at_an_end(hop, keys, addresses) for hop in exchange.hops)


def _at_an_end(hop: Hop, keys: set[str], addresses: set[str]) -> bool:
    raw = hop.raw
    below = bool(hop.tls or raw.get("downstream_failure"))
    above = bool(raw.get("upstream_tls") or raw.get("upstream_failure"))
    if hop.pod in keys:
        return below or above
    return (below and _host(raw.get("downstream_direct_remote")) in addresses) or (
        above and _host(raw.get("upstream")) in addresses
    )


def _host(address: Any) -> str:
    return str(address or "").rpartition(":")[0]


def plan(spec: FaultSpec, fault_id: str, ground: Ground) -> Misidentified | Rotated:  # noqa: ARG001 - the families' signature
    """The family: see the module's text."""
    pods = pods_at(spec, ground.model, what="no certificate")
    if ground.pushes is not None and ground.pushes.outage:
        raise ScenarioError(
            f"the control plane is {ground.pushes.outage} already, so no certificate reaches anybody",
            location=spec.location,
            key=spec.kind,
            expected="this fault before controlPlane",
        )
    common: dict[str, Any] = {
        "pods": pods,
        "placement": placement(spec, ground.model),
        "control_plane": ground.sandbox.control_plane,
        "timeouts": ground.timeouts,
    }
    if isinstance(spec.action, Rotation):
        return Rotated(action=spec.action, **common)
    return Misidentified(terms={pod.node_id: terms(spec.action, pod) for pod in pods}, **common)


def check(spec: FaultSpec, model: MeshModel) -> None:
    """Raise ScenarioError where nobody there has a certificate."""
    pods_at(spec, model, what="no certificate")


def spots(spec: FaultSpec, model: MeshModel) -> tuple[str, ...]:
    """What it takes hold of alone."""
    return _spots(pods_at(spec, model))


def _spots(pods: Sequence[Pod]) -> tuple[str, ...]:
    return tuple(f"TLS of {pod.key}" for pod in pods)


def placement(spec: FaultSpec, model: MeshModel) -> str:
    """Where the fault sits, in words."""
    who = ", ".join(dict.fromkeys(pod.workload_key for pod in pods_at(spec, model)))
    match spec.action:
        case RootRemoved():
            what = "the root that its sidecar trusts"
        case TlsLimits():
            what = "TLS of its sidecar, as client and as server"
        case _:
            what = "the certificate of its sidecar, as client and as server"
    return f"{who}: {what}; its open connections are closed" + (
        " by nobody" if isinstance(spec.action, Rotation) else ""
    )


def terms(action: object, pod: Pod) -> dict[str, Any]:
    """What the control plane is asked for."""
    match action:
        case RootRemoved():
            return {"root": "unknown"}
        case TlsLimits(max_version=version, cipher_suites=suites):
            return {"tls": {"max_version": version, "cipher_suites": list(suites)}}
        case Certificate(flaw=Flaw.WRONG_IDENTITY, spiffe=spiffe):
            return {"spiffe": spiffe}
        case Certificate(flaw=Flaw.WRONG_TRUST_DOMAIN, trust_domain=domain):
            return {"spiffe": re.sub(r"(?<=^spiffe://)[^/]+", domain, pod.identity)}
        case Certificate(flaw=flaw):
            return dict(_TERMS[flaw])
    raise AssertionError(action)
