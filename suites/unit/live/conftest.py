"""A small mesh made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from meshtest.mesh.model import MeshModel, Pod, PodKind, Service, ServicePort


def pod(name: str, namespace: str = "default", **fields: Any) -> Pod:
    """The only replica of a workload; its app is what stands before `-v1`."""
    values: dict[str, Any] = {
        "workload_kind": "Deployment",
        "ip": "10.244.0.1",
        "kind": PodKind.SIDECAR,
        "labels": {"app": name.partition("-v")[0]},
        "service_account": f"sa-{name}",
    }
    return Pod(namespace=namespace, name=f"{name}-0", workload=name, **{**values, **fields})


def service(name: str, namespace: str = "default", port: int = 9080) -> Service:
    """A Service that selects by app."""
    ports = (ServicePort(number=port),) if port else ()
    return Service(namespace=namespace, name=name, ports=ports, selector={"app": name})


@pytest.fixture
def model() -> MeshModel:
    """Three workloads behind two Services in `default`, two namesakes elsewhere, one caller without sidecar."""
    return MeshModel(
        manifests=(),
        pods=(
            pod("reviews-v1"),
            pod("reviews-v2"),
            pod("ratings-v1"),
            pod("batch", "a"),
            pod("batch", "b"),
            pod("ratings-v1", "b"),
            pod("legacy", "old", kind=PodKind.PLAIN),
        ),
        services=(
            service("reviews"),
            service("ratings"),
            service("ratings", "b", 80),
            service("none", port=0),
        ),
        objects=(),
        cluster_ips={},
        zone={},
    )
