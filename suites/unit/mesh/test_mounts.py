from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.errors import ManifestError
from meshtest.mesh.mounts import Mount, proxy_files, server_certificate

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.mesh.model import MeshModel

    Build = Callable[..., MeshModel]
    Workload = Callable[..., str]

OBJECTS = """
apiVersion: v1
kind: Secret
metadata: {name: client}
stringData: {tls.crt: CERT, tls.key: KEY}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: roots}
data: {ca.pem: ROOT}
---
apiVersion: v1
kind: Secret
metadata: {name: client, namespace: other}
stringData: {tls.crt: OTHERS}
---
"""


def notes(volume: str, mount: str) -> str:
    return (
        f"labels: {{app: web}}, annotations: {{sidecar.istio.io/userVolume: '{volume}', "
        f"sidecar.istio.io/userVolumeMount: '{mount}'}}"
    )


def test_a_sidecar_finds_what_its_annotations_mount(build: Build, workload: Workload) -> None:
    volume = '{"a": {"secret": {"secretName": "client"}}, "b": {"configMap": {"name": "roots"}}}'
    mount = '{"a": {"mountPath": "/etc/client"}, "b": {"mountPath": "/etc/roots", "readOnly": true}}'
    model = build(OBJECTS + workload("web", metadata=notes(volume, mount)) + workload("other"))
    web, other = model.pods
    assert proxy_files(model, web) == {
        "/etc/client/tls.crt": "CERT",
        "/etc/client/tls.key": "KEY",
        "/etc/roots/ca.pem": "ROOT",
    }
    assert proxy_files(model, other) == {}


def test_volumes_may_stand_in_a_list_as_in_istios_own_samples(build: Build, workload: Workload) -> None:
    volume = '[{"name": "a", "secret": {"secretName": "client"}}]'
    mount = '[{"name": "a", "mountPath": "/etc/client"}]'
    model = build(OBJECTS + workload("web", metadata=notes(volume, mount)))
    assert set(proxy_files(model, model.pods[0])) == {"/etc/client/tls.crt", "/etc/client/tls.key"}


def test_one_file_under_a_name_of_its_own(build: Build, workload: Workload) -> None:
    secret = '{"secret": {"name": "client", "items": [{"key": "tls.crt", "path": "me.pem"}]}}'
    volume = f'{{"a": {{"projected": {{"sources": [{secret}, {{"configMap": {{"name": "roots"}}}}]}}}}}}'
    model = build(OBJECTS + workload("web", metadata=notes(volume, '{"a": {"mountPath": "/c"}}')))
    assert proxy_files(model, model.pods[0]) == {"/c/me.pem": "CERT", "/c/ca.pem": "ROOT"}
    mount = '{"a": {"mountPath": "/ca.pem", "subPath": "ca.pem"}}'
    model = build(OBJECTS + workload("web", metadata=notes(volume, mount)))
    assert proxy_files(model, model.pods[0]) == {"/ca.pem": "ROOT"}


GATEWAY = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: egress}
spec:
  selector: {matchLabels: {app: egress}}
  template:
    metadata: {labels: {app: egress}, annotations: {inject.istio.io/templates: gateway}}
    spec:
      volumes: [{name: certs, secret: {secretName: client}}]
      containers:
        - name: istio-proxy
          image: auto
          volumeMounts: [{name: certs, mountPath: /etc/certs}, {name: other, mountPath: /etc/other}]
"""


def test_a_gateways_volumes_are_its_pods(build: Build) -> None:
    model = build(OBJECTS + GATEWAY)
    assert model.pods[0].mounts == (Mount(path="/etc/certs", kind="Secret", name="client"),)
    assert proxy_files(model, model.pods[0])["/etc/certs/tls.key"] == "KEY"
    assert proxy_files(build(GATEWAY), model.pods[0]) == {}


@pytest.mark.parametrize("volume", ["{", "[1]", '[{"secret": {}}]', '{"a": "b"}'])
def test_annotations_have_to_be_json(build: Build, workload: Workload, volume: str) -> None:
    with pytest.raises(ManifestError, match=r"userVolume\]: .* is no JSON mapping of volumes"):
        build(workload("web", metadata=notes(volume, "{}")))


def mounting(name: str, secret: str, box: str = "app") -> str:
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      containers: [{{name: app}}, {{name: {box}, volumeMounts: [{{name: tls, mountPath: /etc/tls}}]}}]
      volumes: [{{name: tls, secret: {{secretName: {secret}}}}}]
---
"""


def test_an_application_shows_the_certificate_that_it_mounts(build: Build) -> None:
    model = build(OBJECTS + mounting("web", "client", "other") + mounting("bare", "gone"))
    web, bare = model.pods
    assert server_certificate(model, web) == {"certificate": "CERT", "key": "KEY"}
    assert server_certificate(model, bare) == {}


def test_what_its_proxy_mounts_is_not_the_applications(build: Build) -> None:
    model = build(OBJECTS + mounting("web", "client", "istio-proxy"))
    (web,) = model.pods
    assert server_certificate(model, web) == {}
    assert proxy_files(model, web)["/etc/tls/tls.crt"] == "CERT"


def test_the_root_of_the_mesh_is_in_a_config_map_of_every_namespace(build: Build, workload: Workload) -> None:
    text = workload(
        "web",
        metadata=notes('{"a": {"configMap": {"name": "istio-ca-root-cert"}}}', '{"a": {"mountPath": "/c"}}'),
    )
    model = build(text, own_root=lambda: "ROOT")
    assert proxy_files(model, model.pods[0]) == {"/c/root-cert.pem": "ROOT"}
    own = "{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-ca-root-cert}, data: {root-cert.pem: OWN}}\n---"
    model = build(own + text, own_root=lambda: "ROOT")
    assert proxy_files(model, model.pods[0]) == {"/c/root-cert.pem": "OWN"}
