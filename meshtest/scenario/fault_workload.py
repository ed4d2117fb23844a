"""Faults of workloads: their processes end, stand still, start anew, or get too little."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshtest.scenario.fields import Shape, Short, key, record, shown
from meshtest.scenario.scalars import integer, percentage, word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.scenario.fields import Spot

PARTS = ("application", "sidecar")
QUANTITY = re.compile(r"\d+(\.\d+)?(m|k|M|G|Ki|Mi|Gi)?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFault:
    """What is done to the processes of the chosen pods: `kill`, `stop`, `pause` or `restart`, which is the kind."""

    part: str = "application"
    replicas: int | None = None
    """So many of the pods that `to:` means, chosen by the seed; None: `share` of them."""
    share: float = 100.0
    """Per cent of the pods; at least one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`limits: {cpu: 100m, memory: 64Mi}`, as in `resources.limits` of a container."""

    cpu: str = ""
    memory: str = ""


WorkloadAction = ProcessFault | Limits


def _one_number(fault: ProcessFault, spot: Spot) -> None:
    if fault.replicas is not None and fault.share != 100:
        raise spot.error("replicas and share both stand here", expected="one of them")
    if fault.share == 0:
        raise spot.key("share").error("0% of the pods is none", expected="more than 0%")


def _quantity() -> Shape[str]:
    expected = "a quantity as Kubernetes writes it, such as 100m or 64Mi"

    def read(value: Any, spot: Spot) -> str:
        text = str(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""
        if not QUANTITY.match(text):
            raise spot.error(f"{shown(value)} is no quantity", expected=expected)
        return text

    return Shape(expected=expected, read=read, schema={"type": ["string", "number"]})


_PROCESSES = record(
    ProcessFault,
    {
        "part": key("part", word(PARTS, "part")),
        "replicas": key("replicas", integer(least=1, what="a number of pods")),
        "share": key("share", percentage()),
    },
    short=Short(attribute="part", shape=word(PARTS, "part")),
    verify=_one_number,
    empty=True,
)
WORKLOAD_FAULTS: Mapping[str, Shape[Any]] = {
    "kill": _PROCESSES,
    "stop": _PROCESSES,
    "pause": _PROCESSES,
    "restart": _PROCESSES,
    "limits": record(Limits, {"cpu": key("cpu", _quantity()), "memory": key("memory", _quantity())}),
}
