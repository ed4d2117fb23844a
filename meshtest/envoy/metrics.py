"""Where a Prometheus finds what an Envoy counts: a port that leads to one path of its admin interface.

Nothing else of that interface is to be had there: the path is matched as a whole, since the interface would take
`/stats/prometheus/../../quitquitquit` for what it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshtest.mesh.own_ports import METRICS, PATHS
from meshtest.mesh.proxy_config import hides_metrics

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.mesh.model import Pod

ANYWHERE, _HERE = "0.0.0.0", "127.0.0.1"  # noqa: S104 - inside the pod, as Istio does
_CLUSTER = "prometheus_stats"
ROUTE = {"match": {"path": PATHS[METRICS]}, "route": {"cluster": _CLUSTER}}


def address(pod: Pod) -> str:
    """Where a pod's Envoy listens for it."""
    return _HERE if hides_metrics(pod) else ANYWHERE


def cluster(admin: Mapping[str, Any]) -> dict[str, Any]:
    """The admin interface, which is at this address."""
    return {
        "name": _CLUSTER,
        "type": "STATIC",
        "connect_timeout": "0.250s",
        "load_assignment": {
            "cluster_name": _CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": admin}}]}],
        },
    }
