"""Which endpoints a sidecar's outlier detection has taken out.

Its workers count, its main thread ejects: a request right after the last error may still get through. So a test waits
for what the admin interface shows before it says that nobody gets through any more.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from meshtest.waiting import wait_until

if TYPE_CHECKING:
    from meshtest import Mesh


def ejected(mesh: Mesh, caller: str, host: str) -> int:
    """How many endpoints of all clusters of a host get nothing for now."""
    shown = json.loads(mesh.admin(caller, "/clusters?format=json"))["cluster_statuses"]
    return sum(
        endpoint["health_status"].get("failed_outlier_check", False)
        for cluster in shown
        if host in cluster["name"].rpartition("|")[2].split(".")
        for endpoint in cluster.get("host_statuses", ())
    )


def wait_until_ejected(mesh: Mesh, caller: str, host: str) -> None:
    """Until one endpoint is out, or an error that says which are not."""
    wait_until(
        lambda: ejected(mesh, caller, host), 10, lambda: f"no endpoint of {host} is ejected", step=0.005
    )
