from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.mesh.environment import application_of, environment_of, field_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.mesh.model import MeshModel, Pod

    Build = Callable[..., MeshModel]

POD = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}, annotations: {note: hi}}
spec:
  serviceAccountName: robot
  containers:
  - {name: istio-proxy, image: auto, env: [{name: ONLY, value: proxy}]}
  - name: app
    image: app
    env:
    - {name: HOST, value: db}
    - {name: URL, value: "http://$(HOST)/$(NOBODY)"}
    - {name: INSTANCE_IPS, valueFrom: {fieldRef: {fieldPath: status.podIPs}}}
    - {name: SECRET, valueFrom: {secretKeyRef: {name: s, key: k}}}
"""


@pytest.fixture
def pod(build: Build) -> Pod:
    (found,) = build(POD).pods
    return found


def test_the_application_is_not_the_sidecar(pod: Pod) -> None:
    box = application_of(pod)
    assert box is not None
    assert box.name == "app"


def test_the_environment_is_the_manifests(pod: Pod) -> None:
    assert environment_of(pod) == {"HOST": "db", "URL": "http://db/$(NOBODY)", "INSTANCE_IPS": pod.ip}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web"),
        ("metadata.namespace", "default"),
        ("metadata.labels['app']", "web"),
        ("metadata.annotations['note']", "hi"),
        ("metadata.labels['none']", ""),
        ("spec.serviceAccountName", "robot"),
        ("status.unknown", ""),
    ],
)
def test_fields_of_the_pod(pod: Pod, path: str, value: str) -> None:
    assert field_of(pod, path) == value
