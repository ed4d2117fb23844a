"""Which family plans which kind of fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.faults import connection, http
from meshtest.scenario.fault_connection import CONNECTION_FAULTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshtest.faults.base import Ground, Injection
    from meshtest.scenario.faults import FaultSpec

FAMILIES: Mapping[str, Callable[[FaultSpec, str, Ground], Injection]] = {
    "abort": http.plan,
    "delay": http.plan,
    "responseRate": http.plan,
    **dict.fromkeys(CONNECTION_FAULTS, connection.plan),
}


def plan(spec: FaultSpec, fault_id: str, ground: Ground) -> Injection:
    """The injection of a fault on a mesh."""
    return FAMILIES[spec.kind](spec, fault_id, ground)
