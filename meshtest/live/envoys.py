"""Which Envoys a mesh runs on, as they say themselves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from meshtest.errors import RuntimeFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshtest.mesh.model import Pod


def versions(pods: Sequence[Pod], ask: Callable[[str], str]) -> str:
    """`1.40.0`, and of each image of Istio's proxy: `1.39.1-dev (docker.io/istio/proxyv2:1.30.0: default/ratings-v1)`.

    `ask` is given a pod's key and answers with what its Envoy says at `/server_info`.
    """
    by_image: dict[str, list[Pod]] = {}
    for pod in pods:
        if pod.has_envoy:
            by_image.setdefault(pod.proxy_image, []).append(pod)
    return "; ".join(_said(image, having, ask) for image, having in sorted(by_image.items()))


def _said(image: str, pods: Sequence[Pod], ask: Callable[[str], str]) -> str:
    try:
        # The commit, the version, whether it is changed, the build, the TLS library.
        version = str(json.loads(ask(pods[0].key))["version"]).split("/")[1]
    except (RuntimeFailure, ValueError, KeyError, IndexError):
        version = "an Envoy that does not say its version"
    workloads = ", ".join(dict.fromkeys(pod.workload_key for pod in pods))
    return f"{version} ({image}: {workloads})" if image else version
