"""What an Envoy knows of its own workload: `local_cluster`, without which nothing is routed within zones.

It has it where ISTIO_META_ENABLE_SELF_DISCOVERY says so; istiod answers for its endpoints
(istio/istio: tools/packaging/common/envoy_bootstrap.json).
"""

from __future__ import annotations

from typing import Any

NAME = "local_cluster"
_LEAST_REQUEST = "envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest"


def local_cluster() -> dict[str, Any]:
    """The cluster of a bootstrap."""
    policy = {
        "@type": f"type.googleapis.com/{_LEAST_REQUEST}",
        "locality_lb_config": {"zone_aware_lb_config": {"min_cluster_size": "1"}},
    }
    extension = {"name": "envoy.load_balancing_policies.least_request", "typed_config": policy}
    return {
        "name": NAME,
        "type": "EDS",
        "connect_timeout": "1s",
        "load_balancing_policy": {"policies": [{"typed_extension_config": extension}]},
        "eds_cluster_config": {
            "eds_config": {"ads": {}, "resource_api_version": "V3"},
            "service_name": NAME,
        },
    }
