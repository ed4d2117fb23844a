"""Where each fault of a scenario sits, as can be said before there is a sandbox. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.faults import connection, control_plane, http, identity, name, packet, workload
from meshtest.scenario.fault_connection import CONNECTION_FAULTS
from meshtest.scenario.fault_control_plane import CONTROL_PLANE_FAULTS
from meshtest.scenario.fault_identity import IDENTITY_FAULTS
from meshtest.scenario.fault_name import NAME_FAULTS
from meshtest.scenario.fault_packet import PACKET_FAULTS
from meshtest.scenario.fault_workload import WORKLOAD_FAULTS
from meshtest.scenario.faults import REQUEST_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshtest.mesh.model import MeshModel
    from meshtest.scenario.faults import FaultSpec


PLACEMENTS: Mapping[str, Callable[[FaultSpec, MeshModel], str]] = {
    **dict.fromkeys(REQUEST_KINDS, http.placement),
    **dict.fromkeys(CONNECTION_FAULTS, connection.placement),
    **dict.fromkeys(PACKET_FAULTS, packet.placement),
    **dict.fromkeys(NAME_FAULTS, name.placement),
    **dict.fromkeys(IDENTITY_FAULTS, identity.placement),
    **dict.fromkeys(CONTROL_PLANE_FAULTS, control_plane.placement),
}


def placement(spec: FaultSpec, model: MeshModel, seed: int | None = None) -> str:
    """The spot, in words; which of several pods it is depends on the seed, where that is known."""
    if spec.kind in WORKLOAD_FAULTS:
        return workload.placement(spec, model, seed)
    return PLACEMENTS[spec.kind](spec, model)
