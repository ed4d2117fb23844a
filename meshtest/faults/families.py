"""Which family plans which kind of fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.faults import connection, control_plane, http, identity, name, packet, workload
from meshtest.scenario.fault_connection import CONNECTION_FAULTS
from meshtest.scenario.fault_control_plane import CONTROL_PLANE_FAULTS
from meshtest.scenario.fault_identity import IDENTITY_FAULTS
from meshtest.scenario.fault_name import NAME_FAULTS
from meshtest.scenario.fault_packet import PACKET_FAULTS
from meshtest.scenario.fault_workload import WORKLOAD_FAULTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshtest.faults.base import Ground, Injection
    from meshtest.scenario.faults import FaultSpec

FAMILIES: Mapping[str, Callable[[FaultSpec, str, Ground], Injection]] = {
    "abort": http.plan,
    "delay": http.plan,
    "responseRate": http.plan,
    **dict.fromkeys(CONNECTION_FAULTS, connection.plan),
    **dict.fromkeys(IDENTITY_FAULTS, identity.plan),
    **dict.fromkeys(CONTROL_PLANE_FAULTS, control_plane.plan),
    **dict.fromkeys(PACKET_FAULTS, packet.plan),
    **dict.fromkeys(WORKLOAD_FAULTS, workload.plan),
    **dict.fromkeys(NAME_FAULTS, name.plan),
}


def plan(spec: FaultSpec, fault_id: str, ground: Ground) -> Injection:
    """The injection of a fault on a mesh."""
    return FAMILIES[spec.kind](spec, fault_id, ground)
