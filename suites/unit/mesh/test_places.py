from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.mesh.build import locate
from meshtest.mesh.model import ObjectRef

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.mesh.model import MeshModel

    Build = Callable[..., MeshModel]

MESH = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: web
spec:
  hosts: [web]
  http:
  - route:
    - destination:
        host: web
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata:
      labels:
        app: web
    spec:
      containers: [{name: app}]
---
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  ports: [{port: 80}]
  selector: {app: web}
"""


def ref(kind: str, name: str, api_version: str = "v1") -> ObjectRef:
    return ObjectRef(api_version=api_version, kind=kind, namespace="default", name=name)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("", 1),
        ("spec.http[0].route[0].destination.host", 10),
        ("spec.http[0].route[0].destination.port.number", 9),
        (".spec.http[0].match", 8),
        ("spec/http/0/route", 8),
        ("spec.http.0.route", 8),
        ("spec['http'][0]", 8),
        ("status", 1),
        ("spec.gateways", 5),
    ],
)
def test_a_field_is_found_where_it_is_written_or_would_be(build: Build, path: str, line: int) -> None:
    place = locate(build(MESH), ref("VirtualService", "web", "networking.istio.io/v1beta1"), path)
    assert str(place) == f"mesh.yaml:{line}"


@pytest.mark.parametrize(
    ("made", "path", "line"),
    [
        (ref("Pod", "web-0"), "metadata.labels.app", 21),
        (ref("Pod", "web-0"), "status.podIP", 18),
        (ref("EndpointSlice", "web-endpoints-1", "discovery.k8s.io/v1"), "endpoints[0]", 25),
    ],
)
def test_what_was_made_stands_where_it_comes_from(
    build: Build, made: ObjectRef, path: str, line: int
) -> None:
    assert str(locate(build(MESH), made, path)) == f"mesh.yaml:{line}"


@pytest.mark.parametrize("kind", ["Pod", "Namespace", "EndpointSlice"])
def test_what_no_manifest_says_has_no_place(build: Build, kind: str) -> None:
    assert locate(build(MESH), ref(kind, "other")) is None
