from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.errors import ManifestError
from meshtest.mesh.volumes import disk_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.mesh.disk import Disk
    from meshtest.mesh.model import MeshModel

    Build = Callable[..., MeshModel]

POD = """
apiVersion: v1
kind: {kind}
metadata: {{name: web, labels: {{app: web, tier: front}}}}
spec:
  containers:
  - name: app
    image: app
    resources: {{limits: {{memory: 64Mi}}}}
    volumeMounts: [{mount}]
  volumes: [{volume}]
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: settings}}
data: {{a.conf: one, b.conf: two}}
binaryData: {{raw: /w==}}
---
apiVersion: v1
kind: Secret
metadata: {{name: keys}}
data: {{tls.key: cHc=}}
"""

LABELS = b"""app="web"
security.istio.io/tlsMode="istio"
service.istio.io/canonical-name="web"
service.istio.io/canonical-revision="latest"
tier="front"
"""


def disk(build: Build, volume: str, mount: str = "{name: v, mountPath: /etc/app/}") -> Disk:
    model = build(POD.format(kind="Pod", volume=f"{{name: v, {volume}}}", mount=mount))
    return disk_of(model, model.pods[0])


def test_every_key_is_a_file_and_hides_what_the_image_has(build: Build) -> None:
    found = disk(build, "configMap: {name: settings}")
    assert found.folders == ("/etc/app",)
    assert found.files == {
        "/etc/app/a.conf": (b"one", 0o644),
        "/etc/app/b.conf": (b"two", 0o644),
        "/etc/app/raw": (b"\xff", 0o644),
    }


def test_chosen_keys_with_their_paths_and_modes(build: Build) -> None:
    items = "[{key: a.conf, path: x/y, mode: 0755}, {key: b.conf, path: z}]"
    found = disk(build, f"configMap: {{name: settings, defaultMode: 0400, items: {items}}}")
    assert found.files == {"/etc/app/x/y": (b"one", 0o755), "/etc/app/z": (b"two", 0o400)}


def test_one_file_stands_beside_what_the_image_has(build: Build) -> None:
    found = disk(build, "secret: {secretName: keys}", "{name: v, mountPath: /app/key.pem, subPath: tls.key}")
    assert (found.folders, found.files) == ((), {"/app/key.pem": (b"pw", 0o644)})


def test_several_sources_in_one_folder(build: Build) -> None:
    sources = """[{configMap: {name: settings, items: [{key: a.conf, path: a}]}}, {secret: {name: keys}},
      {downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}},
                             {path: memory, resourceFieldRef: {containerName: app, resource: limits.memory}}]}}]"""
    found = disk(build, f"projected: {{defaultMode: 0440, sources: {sources}}}")
    assert found.files == {
        "/etc/app/a": (b"one", 0o440),
        "/etc/app/tls.key": (b"pw", 0o440),
        "/etc/app/labels": (LABELS, 0o440),
        "/etc/app/memory": (str(64 << 20).encode(), 0o440),
    }


@pytest.mark.parametrize("volume", ["emptyDir: {}", "persistentVolumeClaim: {claimName: c}"])
def test_folders_that_are_empty_at_first(build: Build, volume: str) -> None:
    found = disk(build, volume)
    assert (found.folders, found.files) == (("/etc/app",), {})


def test_volumes_of_a_pods_group_can_be_read_by_it(build: Build) -> None:
    text = POD.format(
        kind="Pod",
        volume="{name: v, secret: {secretName: keys, defaultMode: 0400}}",
        mount="{name: v, mountPath: /k}",
    ).replace("spec:\n  containers", "spec:\n  securityContext: {fsGroup: 7}\n  containers", 1)
    model = build(text)
    found = disk_of(model, model.pods[0])
    assert found.group == 7
    assert {mode for _, mode in found.files.values()} == {0o440}


def test_what_is_optional_may_be_absent(build: Build) -> None:
    found = disk(build, "configMap: {name: nobody, optional: true}")
    assert (found.folders, found.files) == (("/etc/app",), {})


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        (
            "hostPath: {path: /}",
            "mesh.yaml:11: spec.volumes[0].hostPath: a volume of kind hostPath cannot be had here",
        ),
        ("configMap: {name: setting}", "no ConfigMap 'setting' in namespace default; expected"),
        ("secret: {secretName: keys, items: [{key: k, path: p}]}", "Secret default/keys has no key 'k'"),
        (
            "projected: {sources: [{serviceAccountToken: {path: t}}]}",
            "of kind serviceAccountToken cannot be had",
        ),
    ],
)
def test_what_cannot_be_had_is_an_error_where_the_container_runs(
    build: Build, volume: str, message: str
) -> None:
    with pytest.raises(ManifestError) as error:
        disk(build, volume)
    assert message in str(error.value)


def test_a_mount_of_no_volume(build: Build) -> None:
    with pytest.raises(ManifestError, match=r"volumeMounts\[0\]\.name: no volume 'w'"):
        disk(build, "emptyDir: {}", "{name: w, mountPath: /w}")


def test_programs_that_see_this_machines_disk_miss_no_storage(build: Build) -> None:
    text = POD.format(kind="Pod", volume="{name: v, hostPath: {path: /}}", mount="{name: v, mountPath: /x}")
    model = build(text)
    assert disk_of(model, model.pods[0], storage=False).folders == ()
