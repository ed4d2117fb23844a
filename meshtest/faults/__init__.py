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
from meshtest.faults.http import abort, delay, response_rate

__all__ = [
    "abort",
    "bandwidth",
    "delay",
    "down",
    "latency",
    "limit_data",
    "reset_peer",
    "response_rate",
    "slicer",
    "slow_close",
    "timeout",
]
