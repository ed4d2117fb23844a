"""Faults of packets: some get lost, all between two sides get lost, or they come late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshtest.scenario.fields import Shape, Short, key, record
from meshtest.scenario.scalars import boolean, duration, percentage, word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.scenario.fields import Spot

DIRECTIONS = ("both", "ingress", "egress")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """`loss: 30%`: a share of the packets to and from a pod does not arrive."""

    percentage: float
    direction: str = "both"
    """`ingress`: those on their way to the pods of `to:`; `egress`: those from there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """`partition: {}`: nothing passes between `to:` and `from:`, or between `to:` and everybody."""

    one_way: bool = False
    """Only what is on its way to `to:` is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketDelay:
    """`packetDelay: {fixedDelay: 50ms}`: every packet of a pod comes late."""

    fixed_delay: float
    jitter: float = 0.0


PacketAction = Loss | Partition | PacketDelay


def _loses_something(loss: Loss, spot: Spot) -> None:
    if loss.percentage == 0:
        raise spot.error("0% loses no packet", expected="more than 0%")


def _is_regular(late: PacketDelay, spot: Spot) -> None:
    if late.jitter > late.fixed_delay:
        raise spot.key("jitter").error("more jitter than delay", expected="at most fixedDelay")


_DIRECTION = word(DIRECTIONS, "direction")
PACKET_FAULTS: Mapping[str, Shape[Any]] = {
    "loss": record(
        Loss,
        {
            "percentage": key("percentage", percentage(), required=True),
            "direction": key("direction", _DIRECTION),
        },
        short=Short(attribute="percentage", shape=percentage()),
        verify=_loses_something,
    ),
    "partition": record(Partition, {"oneWay": key("one_way", boolean())}, empty=True),
    "packetDelay": record(
        PacketDelay,
        {
            "fixedDelay": key("fixed_delay", duration(), required=True),
            "jitter": key("jitter", duration(zero=True)),
        },
        verify=_is_regular,
    ),
}
