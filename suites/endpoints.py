"""What a sidecar knows of the endpoints of its clusters, as its admin interface shows it.

Envoy's main thread learns of some things from its workers, and tells them of others, a moment after the request that
made the difference. A test that counts from then on waits for what is shown here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from meshtest.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest import Mesh


def ejected(mesh: Mesh, pod: str, host: str) -> int:
    """How many endpoints of all clusters of a host are taken out: workers count the errors, the main thread ejects."""
    return sum(
        endpoint["health_status"].get("failed_outlier_check", False)
        for cluster, endpoint in _endpoints(mesh, pod)
        if host in cluster.rpartition("|")[2].split(".")
    )


def wait_until_ejected(mesh: Mesh, pod: str, host: str) -> None:
    """Until one endpoint is out."""
    wait_until(lambda: ejected(mesh, pod, host), 10, lambda: f"no endpoint of {host} is ejected", step=0.005)


def wait_until_known(mesh: Mesh, pod: str, cluster: str) -> None:
    """Until a cluster of ORIGINAL_DST has kept an endpoint: before, each request makes one, and a pool, of its own."""

    def known() -> bool:
        return any(name == cluster for name, _ in _endpoints(mesh, pod))

    wait_until(known, 10, lambda: f"no endpoint of {cluster} is known", step=0.005)


def _endpoints(mesh: Mesh, pod: str) -> Iterator[tuple[str, Any]]:
    for cluster in json.loads(mesh.admin(pod, "/clusters?format=json"))["cluster_statuses"]:
        for endpoint in cluster.get("host_statuses", ()):
            yield cluster["name"], endpoint
