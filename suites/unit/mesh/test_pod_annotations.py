"""Annotations of the injector that nothing here acts on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.errors import ManifestError
from meshtest.mesh.model import PodKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.mesh.model import MeshModel

    Build = Callable[..., MeshModel]
    Workload = Callable[..., str]

LABELS = "labels: {app: web}, annotations: {%s}"


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (
            "inject.istio.io/templates: grpc-agent",
            "'grpc-agent' is gRPC without Envoy, whose agent does not run here",
        ),
        ("inject.istio.io/templates: 'sidecar,spire'", "only Istio's own sidecar and gateway are known here"),
        (
            "traffic.sidecar.istio.io/excludeInterfaces: 'net1,lo'",
            "a pod's calls of itself are as Istio usually has them",
        ),
        ("sidecar.istio.io/bootstrapOverride: mine", "its Envoy starts with meshtest's own bootstrap"),
    ],
    ids=["grpc", "custom", "loopback", "bootstrap"],
)
def test_what_nothing_acts_on_is_refused_at_its_line(
    build: Build, workload: Workload, annotation: str, message: str
) -> None:
    text = workload("web", metadata=LABELS % annotation)
    name = annotation.partition(":")[0]
    with pytest.raises(ManifestError) as caught:
        build(text)
    assert str(caught.value) == (
        f"mesh.yaml:7: spec.template.metadata.annotations[{name}]: unsupported: {message}"
    )
    assert build(text, allow_unsupported=True).pods
    assert build(text.replace("app: web}, ann", "app: web, sidecar.istio.io/inject: 'false'}, ann")).pods


@pytest.mark.parametrize(
    ("templates", "kind"),
    [("sidecar", PodKind.SIDECAR), ("gateway", PodKind.GATEWAY), ("'sidecar, gateway'", PodKind.GATEWAY)],
)
def test_istios_own_templates_are_known(
    build: Build, workload: Workload, templates: str, kind: PodKind
) -> None:
    (pod,) = build(workload("web", metadata=LABELS % f"inject.istio.io/templates: {templates}")).pods
    assert pod.kind is kind
