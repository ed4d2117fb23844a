"""What can be said of the faults of a scenario before anything runs: places, needs, and who is in whose way. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.errors import ScenarioError
from meshtest.faults import connection, control_plane, http, identity, name, packet, workload
from meshtest.runtime.base import Capability
from meshtest.scenario.fault_connection import CONNECTION_FAULTS
from meshtest.scenario.fault_control_plane import CONTROL_PLANE_FAULTS, OUTAGE
from meshtest.scenario.fault_identity import IDENTITY_FAULTS
from meshtest.scenario.fault_name import NAME_FAULTS
from meshtest.scenario.fault_packet import PACKET_FAULTS
from meshtest.scenario.fault_workload import WORKLOAD_FAULTS
from meshtest.scenario.faults import REQUEST_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from meshtest.mesh.model import MeshModel
    from meshtest.scenario.faults import FaultSpec

CHECKS: Mapping[str, Callable[[FaultSpec, MeshModel], object]] = {
    **dict.fromkeys(REQUEST_KINDS, http.check),
    **dict.fromkeys(CONNECTION_FAULTS, connection.check),
    **dict.fromkeys(PACKET_FAULTS, packet.check),
    **dict.fromkeys(WORKLOAD_FAULTS, workload.check),
    **dict.fromkeys(NAME_FAULTS, name.check),
    **dict.fromkeys(IDENTITY_FAULTS, identity.check),
    **dict.fromkeys(CONTROL_PLANE_FAULTS, control_plane.check),
}
"""What can be said of a fault before there is a sandbox; each raises ScenarioError."""
SPOTS: Mapping[str, Callable[[FaultSpec, MeshModel], tuple[str, ...]]] = {
    **dict.fromkeys(WORKLOAD_FAULTS, workload.spots),
    **dict.fromkeys(PACKET_FAULTS, packet.spots),
    **dict.fromkeys(IDENTITY_FAULTS, identity.spots),
    **dict.fromkeys(CONTROL_PLANE_FAULTS, control_plane.spots),
}
"""What a fault takes hold of alone, as far as it is known before there is a sandbox."""
NEEDS: Mapping[str, tuple[Capability, str]] = {
    "loss": (Capability.PACKET_LOSS, "a fault of connections, such as timeout or resetPeer"),
    "partition": (Capability.PACKET_LOSS, "a fault of connections, such as timeout or down"),
    "packetDelay": (Capability.NETEM, "latency, a fault of connections, which needs nothing of the kernel"),
    "limits": (
        Capability.RESOURCE_LIMITS,
        "the docker runtime, or pause for a process that gets no CPU at all",
    ),
    "pause": (Capability.PAUSE, "kill or stop"),
}
"""What a fault asks of the runtime, and what can be done where the runtime has it not."""


BROUGHT = frozenset({*IDENTITY_FAULTS, *CONTROL_PLANE_FAULTS, *CONNECTION_FAULTS}) - {OUTAGE}
"""The faults that the control plane brings to the sidecars, and takes from them again."""


def judge(specs: Sequence[FaultSpec], model: MeshModel, capabilities: Collection[Capability]) -> None:
    """Raise ScenarioError for the first fault that this mesh or this machine cannot have."""
    for spec in specs:
        needed, instead = NEEDS.get(spec.kind, (None, ""))
        if needed is not None and needed not in capabilities:
            raise ScenarioError(
                f"needs {needed.value}, which this runtime cannot do on this machine",
                location=spec.location, key=spec.kind, expected=instead,
            )  # fmt: skip
        if spec.kind in CHECKS:
            CHECKS[spec.kind](spec, model)
    held = [(spec, SPOTS[spec.kind](spec, model)) for spec in specs if spec.kind in SPOTS]
    for index, (spec, spots) in enumerate(held):
        for earlier, taken in held[:index]:
            refuse_overlap(earlier, taken, spec, spots)
    can_be_brought(specs)


def can_be_brought(specs: Sequence[FaultSpec]) -> None:
    """Raise ScenarioError where a fault begins or ends while the control plane, which it takes, is out."""
    for number, spec in enumerate(specs):
        for other, outage in enumerate(specs):
            if spec.kind not in BROUGHT or outage.kind != OUTAGE:
                continue
            start, end = _moments(spec)
            begins, ends = (_is_out(outage, at, earlier=other < number) for at in (start, end))
            if begins or ends:
                raise ScenarioError(
                    f"the control plane is out when {spec.kind} {'begins' if begins else 'ends'} ({outage.location}), "
                    "and it is what brings it to the sidecars",
                    location=spec.location, key=spec.kind, expected="this fault before controlPlane, or another window",
                )  # fmt: skip


def _is_out(outage: FaultSpec, at: float, *, earlier: bool) -> bool:
    """Whether the control plane is out at a moment; what happens at one moment happens in the order of the list.

    What lasts until the end of everything ends in good order: the outage first, wherever it stands in the list.
    """
    gone, back = _moments(outage)
    if at == float("inf"):
        return False
    return gone < at < back or (at == gone and earlier) or (at == back and not earlier)


def _moments(spec: FaultSpec) -> tuple[float, float]:
    """Beginning and end; what has no time begins before the clock does."""
    start, end = _window(spec)
    return (start if spec.during or spec.until else -1.0), end


def refuse_overlap(earlier: FaultSpec, taken: Sequence[str], later: FaultSpec, spots: Sequence[str]) -> None:
    """Raise ScenarioError where two faults take hold of one spot at the same time."""
    shared = [spot for spot in spots if spot in taken]
    if shared and _window(earlier)[0] < _window(later)[1] and _window(later)[0] < _window(earlier)[1]:
        raise ScenarioError(
            f"{shared[0]} is under {earlier.kind} at that time ({earlier.location}), and cannot be under both",
            location=later.location, key=later.kind, expected="during: windows that do not overlap, or another pod",
        )  # fmt: skip


def _window(spec: FaultSpec) -> tuple[float, float]:
    start = spec.during.at if spec.during else 0.0
    lasts = spec.during.lasts if spec.during else None
    return start, float("inf") if lasts is None else start + lasts
