from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.errors import ScenarioError
from meshtest.mesh.model import PodKind
from meshtest.mesh.outside import entrance, outside_pod

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.mesh.model import MeshModel

    Build = Callable[..., MeshModel]
    Workload = Callable[..., str]

GATEWAY = "annotations: {inject.istio.io/templates: gateway}, labels: {app: %s}"


def service(name: str, kind: str = "LoadBalancer") -> str:
    spec = f"{{type: {kind}, selector: {{app: {name}}}, ports: [{{port: 80}}]}}"
    return f"{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}, spec: {spec}}}\n---\n"


def test_it_stands_beside_the_cluster_without_sidecar() -> None:
    pod = outside_pod()
    assert (pod.key, pod.workload_key, pod.kind) == ("outside", "outside", PodKind.PLAIN)
    assert not pod.ip.startswith(("10.244.", "10.96."))


def test_one_comes_in_by_the_gateway(build: Build, workload: Workload) -> None:
    model = build(service("web") + workload("web") + service("in") + workload("in", metadata=GATEWAY % "in"))
    assert entrance(model) == "in.default.svc.cluster.local"


def test_the_gateway_that_is_exposed_wins_over_others(build: Build, workload: Workload) -> None:
    pods = workload("in", metadata=GATEWAY % "in") + workload("out", metadata=GATEWAY % "out")
    assert (
        entrance(build(service("in") + service("out", "ClusterIP") + pods)) == "in.default.svc.cluster.local"
    )
    with pytest.raises(
        ScenarioError, match=r"several gateways in the mesh; expected in.default or out.default"
    ):
        entrance(build(service("in") + service("out") + pods))


def test_without_a_gateway_nobody_comes_in(build: Build, workload: Workload) -> None:
    with pytest.raises(ScenarioError, match="no gateway in the mesh; expected manifests with a gateway"):
        entrance(build(service("web") + workload("web")))
