"""Packet faults: on the way between the pods, below every connection, also those that exist already.

    caller's pod ──packets──►  LOST  ──► callee's pod        counted where they are dropped

Which packets of a share are lost is up to chance, as on a real network: the kernel rolls the dice, not the seed.
The sidecars' own streams to the control plane do not pass the network between the pods, and are not met.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

from meshtest.errors import ScenarioError, Unsupported
from meshtest.faults.making import faulty
from meshtest.faults.places import pods_of
from meshtest.runtime.abilities import ArmsPackets, DelaysPackets, LosesPackets
from meshtest.runtime.base import Lost
from meshtest.scenario.fault_packet import Loss, PacketDelay, Partition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshtest.faults.base import Ground
    from meshtest.mesh.model import MeshModel, Pod
    from meshtest.scenario.faults import FaultSpec
    from meshtest.traffic.model import Exchange

_NO_DELAY = (
    "this runtime cannot hold packets up; "
    "use latency, a fault of connections, which needs nothing of the kernel"
)


def loss(*, to: str | Sequence[str], percentage: float, direction: str = "both", **where: Any) -> FaultSpec:
    """Lose a share of the packets of pods: all of theirs, or those from and to the pods of `from_`.

    Args:
        to: workloads, services or pods.
        percentage: of the packets, more than 0, at most 100; which ones is up to chance.
        direction: `ingress` (on their way to `to`), `egress` (from there) or `both`.
        where: `from_`, `name`, `during=(at, for)` in seconds.
    """
    return faulty("loss", Loss(percentage=percentage, direction=direction), to, where)


def partition(
    to: str | Sequence[str], from_: str | Sequence[str] | None = None, *, one_way: bool = False, **where: Any
) -> FaultSpec:
    """Let nothing pass between two sides, or between `to` and everybody; `one_way`: nothing towards `to`."""
    return faulty(
        "partition", Partition(one_way=one_way), to, where if from_ is None else {"from_": from_, **where}
    )


def packet_delay(
    *, to: str | Sequence[str], fixed_delay: float, jitter: float = 0.0, **where: Any
) -> FaultSpec:
    """Hold up every packet from and to pods, in seconds, so that a round trip takes twice as long.

    Only where the kernel has netem; elsewhere `latency`, a fault of connections.
    """
    return faulty("packetDelay", PacketDelay(fixed_delay=fixed_delay, jitter=jitter), to, where)


@dataclass(slots=True, kw_only=True)
class Packets:
    """Packets that get lost; its hits are packets."""

    id: str
    lost: tuple[Lost, ...]
    placement: str
    ground: Ground = field(repr=False)
    members: tuple[str, ...] = ()
    unit: str = "packets"
    _count: int = 0

    def inject(self) -> None:
        """Begin to lose them."""
        self._network().lose(self.id, self.lost)

    def recover(self) -> None:
        """Let them pass again."""
        self._count += self._network().restore(self.id)

    def hits(self, exchanges: Sequence[Exchange]) -> int:
        """How many packets were lost, whoever sent them."""
        del exchanges
        return self._count + self._network().lost(self.id)

    def _network(self) -> LosesPackets:
        if not isinstance(self.ground.sandbox, LosesPackets):
            raise Unsupported(
                "this runtime loses no packets; use a fault of connections, such as timeout or down"
            )
        return self.ground.sandbox


@dataclass(slots=True, kw_only=True)
class LatePackets:
    """Packets that come late; its hits are packets."""

    id: str
    action: PacketDelay
    pods: Sequence[Pod]
    placement: str
    ground: Ground = field(repr=False)
    members: tuple[str, ...] = ()
    unit: str = "packets"
    _count: int = 0

    @property
    def spots(self) -> tuple[str, ...]:
        """A link has one queue."""
        return _links(self.pods)

    def inject(self) -> None:
        """Begin to hold them up."""
        addresses = [pod.ip for pod in self.pods]
        self._network().delay(self.id, addresses, self.action.fixed_delay, self.action.jitter)

    def recover(self) -> None:
        """Let them pass at once again."""
        self._count += self._network().undelay(self.id)

    def hits(self, exchanges: Sequence[Exchange]) -> int:
        """How many packets were held up, whoever sent them."""
        del exchanges
        return self._count + self._network().delayed(self.id)

    def _network(self) -> DelaysPackets:
        if not isinstance(self.ground.sandbox, DelaysPackets):
            raise Unsupported(_NO_DELAY)
        return self.ground.sandbox


def plan(spec: FaultSpec, fault_id: str, ground: Ground) -> Packets | LatePackets:
    """The family: see the module's text."""
    if isinstance(spec.action, PacketDelay):
        check(spec, ground.model)
        if not isinstance(ground.sandbox, DelaysPackets):
            raise Unsupported(_NO_DELAY)
        pods, where = pods_of(spec.to, spec, ground.model, key="to"), placement(spec, ground.model)
        return LatePackets(id=fault_id, action=spec.action, pods=pods, placement=where, ground=ground)
    found = lost(spec, ground.model)
    if isinstance(ground.sandbox, ArmsPackets):
        ground.sandbox.arm(fault_id, found)
    return Packets(id=fault_id, lost=found, placement=placement(spec, ground.model), ground=ground)


def check(spec: FaultSpec, model: MeshModel) -> None:
    """Raise ScenarioError where it can lose nothing, or cannot choose whom it holds up."""
    if isinstance(spec.action, PacketDelay):
        pods_of(spec.to, spec, model, key="to")
        if spec.sender:
            raise ScenarioError(
                "packets of a pod come late whoever they are from",
                location=spec.location, key=f"{spec.kind}.from",
                expected="no from:, or latency, a fault of connections, for chosen callers",
            )  # fmt: skip
        return
    if not lost(spec, model):
        raise ScenarioError(
            "both sides are the same pod, which needs no network to reach itself",
            location=spec.location, key=f"{spec.kind}.from", expected="another workload",
        )  # fmt: skip


def lost(spec: FaultSpec, model: MeshModel) -> tuple[Lost, ...]:
    """Which packets are lost."""
    towards, away, part = _directions(spec.action)
    callees = pods_of(spec.to, spec, model, key="to")
    callers = pods_of(spec.sender, spec, model, key="from")
    others: Sequence[Pod | None] = callers or (None,)
    found: dict[Lost, None] = {}
    for callee, caller in product(callees, others):
        there, here = callee.ip, caller.ip if caller else ""
        if there == here:
            continue
        if towards:
            found[Lost(source=here, destination=there, share=part)] = None
        if away:
            found[Lost(source=there, destination=here, share=part)] = None
    return tuple(found)


def _directions(action: object) -> tuple[bool, bool, float]:
    match action:
        case Loss(percentage=percentage, direction=direction):
            return direction != "egress", direction != "ingress", percentage / 100
        case Partition(one_way=one_way):
            return True, not one_way, 1.0
        case _:
            raise AssertionError(action)


def placement(spec: FaultSpec, model: MeshModel) -> str:
    """Where the fault sits, in words."""
    if isinstance(spec.action, PacketDelay):
        who = _said(pods_of(spec.to, spec, model, key="to"))
        return f"network links of {who}: every packet, each way, of new and old connections"
    towards, away, part = _directions(spec.action)
    arrow = "<->" if towards and away else "->" if towards else "<-"
    here = _said(pods_of(spec.sender, spec, model, key="from")) or "everybody"
    there = _said(pods_of(spec.to, spec, model, key="to"))
    how_many = "every packet" if part >= 1 else f"{part * 100:.4g}% of the packets"
    return f"network between the pods: {how_many} {here} {arrow} {there}, of new and old connections"


def spots(spec: FaultSpec, model: MeshModel) -> tuple[str, ...]:
    """What a delay takes hold of alone; losses do not mind each other."""
    if not isinstance(spec.action, PacketDelay):
        return ()
    return _links(pods_of(spec.to, spec, model, key="to"))


def _links(pods: Sequence[Pod]) -> tuple[str, ...]:
    return tuple(f"network link of {pod.key}" for pod in pods)


def _said(pods: Sequence[Pod]) -> str:
    return ", ".join(dict.fromkeys(pod.key for pod in pods))
