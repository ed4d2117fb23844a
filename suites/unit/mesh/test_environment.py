from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.errors import ManifestError
from meshtest.mesh.environment import application_of, environment_of, expanded, field_of

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
    resources: {limits: {cpu: 250m, memory: 64Mi}}
    envFrom:
    - {configMapRef: {name: settings}}
    - {prefix: DB_, secretRef: {name: database}}
    - {configMapRef: {name: nobody, optional: true}}
    env:
    - {name: HOST, value: db}
    - {name: URL, value: "http://$(HOST)/$(NOBODY)"}
    - {name: INSTANCE_IPS, valueFrom: {fieldRef: {fieldPath: status.podIPs}}}
    - {name: ME, value: "$(INSTANCE_IPS):80"}
    - {name: LEVEL, value: loud}
    - {name: PASSWORD, valueFrom: {secretKeyRef: {name: database, key: password}}}
    - {name: THEME, valueFrom: {configMapKeyRef: {name: settings, key: theme}}}
    - {name: NONE, valueFrom: {configMapKeyRef: {name: settings, key: none, optional: true}}}
    - {name: CPUS, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}
    - {name: MEGABYTES, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {LEVEL: quiet, theme: dark}
---
apiVersion: v1
kind: Secret
metadata: {name: database}
stringData: {user: me}
data: {password: cHc=}
"""


def test_the_application_is_not_the_sidecar(build: Build) -> None:
    (pod,) = build(POD).pods
    box = application_of(pod)
    assert box is not None
    assert box.name == "app"


def test_the_environment_is_the_manifests(build: Build) -> None:
    model = build(POD)
    (pod,) = model.pods
    assert environment_of(model, pod) == {
        "LEVEL": "loud",
        "theme": "dark",
        "DB_user": "me",
        "DB_password": "pw",
        "HOST": "db",
        "URL": "http://db/$(NOBODY)",
        "INSTANCE_IPS": pod.ip,
        "ME": f"{pod.ip}:80",
        "PASSWORD": "pw",
        "THEME": "dark",
        "CPUS": "1",
        "MEGABYTES": "64",
    }


@pytest.mark.parametrize(
    ("text", "result"),
    [("$(A)/$(B)", "1/$(B)"), ("$$(A)", "$(A)"), ("$A $", "$A $"), ("$(A", "$(A")],
)
def test_references(text: str, result: str) -> None:
    assert expanded(text, {"A": "1"}) == result


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "{name: settings, key: theme}",
            "{name: setings, key: theme}",
            "env[6].valueFrom.configMapKeyRef: no ConfigMap 'setings' in namespace default; expected a ConfigMap among",
        ),
        (
            "{name: database, key: password}",
            "{name: database, key: pasword}",
            "Secret default/database has no key 'pasword'; expected one of password, user; did you mean 'password'?",
        ),
        (
            "{name: settings, key: theme}",
            "{name: setings, key: theme}",
            "mesh.yaml:23: spec.containers[1].env[6]",
        ),
        ("{name: settings, key: theme}", "{name: setings, key: theme}", "did you mean 'settings'?"),
        ("limits.cpu", "limits.gpu", "resourceFieldRef: the container has no limits.gpu"),
        ("secretRef: {name: database}", "secretRef: {name: x}", "envFrom[1].secretRef: no Secret 'x'"),
    ],
)
def test_what_is_not_there_starts_no_container(build: Build, old: str, new: str, message: str) -> None:
    model = build(POD.replace(old, new))
    with pytest.raises(ManifestError) as error:
        environment_of(model, model.pods[0])
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "{configMapKeyRef: {name: settings, key: theme}}",
            "{configMapKeyReff: {name: settings, key: theme}}",
            "no source 'configMapKeyReff'",
        ),
        ("{configMapRef: {name: settings}}", "{prefix: A_}", "envFrom[0]: 0 sources"),
        ("memory: 64Mi", "memory: 64mi", "resources.limits.memory: '64mi' is no quantity"),
    ],
)
def test_what_says_nothing_is_an_error(build: Build, old: str, new: str, message: str) -> None:
    with pytest.raises(ManifestError) as error:
        build(POD.replace(old, new, 1))
    assert message in str(error.value)


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
def test_fields_of_the_pod(build: Build, path: str, value: str) -> None:
    pod: Pod = build(POD).pods[0]
    assert field_of(pod, path) == value
