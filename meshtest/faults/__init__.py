"""Faults, by family: each function makes one, `Mesh.inject` puts it in force and recovers it.

with mesh.inject(faults.abort(to="ratings", http_status=503, percentage=30)): ...
"""

from __future__ import annotations

from meshtest.faults.connection import (
    bandwidth,
    down,
    latency,
    limit_data,
    reset_peer,
    slicer,
    slow_close,
    timeout,
)
from meshtest.faults.control_plane import (
    control_plane_down,
    control_plane_paused,
    partial_push,
    rejected_push,
    secrets_withheld,
    slow_push,
    stale_endpoints,
)
from meshtest.faults.http import abort, delay, response_rate
from meshtest.faults.identity import certificate, root_removed, rotation, tls
from meshtest.faults.name import dns
from meshtest.faults.packet import loss, packet_delay, partition
from meshtest.faults.workload import kill, limits, pause, restart, stop

__all__ = [
    "abort",
    "bandwidth",
    "certificate",
    "control_plane_down",
    "control_plane_paused",
    "delay",
    "dns",
    "down",
    "kill",
    "latency",
    "limit_data",
    "limits",
    "loss",
    "packet_delay",
    "partial_push",
    "partition",
    "pause",
    "rejected_push",
    "reset_peer",
    "response_rate",
    "restart",
    "root_removed",
    "rotation",
    "secrets_withheld",
    "slicer",
    "slow_close",
    "slow_push",
    "stale_endpoints",
    "stop",
    "timeout",
    "tls",
]
