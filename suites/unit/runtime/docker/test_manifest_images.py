"""What a manifest says besides the image's name holds for it: environment, files, user, folder, limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.errors import ManifestError
from meshtest.live.mesh import Mesh
from suites.unit.two import EXAMPLE_IMAGE, FRONT, SERVICE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest.runtime.docker.client import Daemon

MANIFEST = (
    SERVICE
    + """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {LEVEL: loud, a.conf: one}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {password: pw}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: back}
spec:
  selector: {matchLabels: {app: back}}
  template:
    metadata: {labels: {app: back}}
    spec:
      securityContext: {runAsUser: 4711, fsGroup: 4712, supplementalGroups: [4713]}
      hostAliases: [{ip: 10.244.9.9, hostnames: [db.example]}]
      containers:
      - name: back
        image: IMAGE
        args: ["$(PASSWORD)"]
        workingDir: /tmp
        ports: [{containerPort: 8080}]
        resources: {limits: {cpu: 500m, memory: 128Mi}}
        envFrom: [{configMapRef: {name: settings}}]
        env:
        - {name: PASSWORD, valueFrom: {secretKeyRef: {name: keys, key: password}}}
        - {name: MEGABYTES, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
        volumeMounts:
        - {name: settings, mountPath: /etc/app}
        - {name: keys, mountPath: /opt/key, subPath: password}
        - {name: scratch, mountPath: /scratch}
      volumes:
      - {name: settings, configMap: {name: settings}}
      - {name: keys, secret: {secretName: keys, defaultMode: 0400}}
      - {name: scratch, emptyDir: {}}
""".replace("IMAGE", EXAMPLE_IMAGE)
    + FRONT
)


@pytest.fixture(scope="module")
def mesh(example: str) -> Iterator[Mesh]:
    del example  # the manifest names it
    with Mesh.from_manifests(MANIFEST, runtime="docker", images={"back": "manifest"}) as found:
        yield found


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("env/LEVEL", "loud"),
        ("env/PASSWORD", "pw"),
        ("env/MEGABYTES", "128"),
        ("env/BACK_SERVICE_PORT_HTTP", "80"),
        ("", "hello from image pw"),
        ("self", "4711 /tmp"),
        ("folder/etc/app", "LEVEL a.conf"),
        ("file/etc/app/a.conf", "0o644 one"),
        ("file/opt/key", "0o440 pw"),
        ("folder/scratch", ""),
    ],
)
def test_what_the_application_finds(mesh: Mesh, asked: str, said: str) -> None:
    assert mesh.request("front", f"http://back/{asked}").body.decode() == said


def test_volumes_belong_to_the_group_of_the_pod(mesh: Mesh) -> None:
    seen = "import os; print(sorted(os.getgroups())[-2:], oct(os.stat('/scratch').st_mode), os.stat('/opt/key').st_gid)"
    assert mesh.execute("back", ["python3", "-c", seen]).stdout == "[4712, 4713] 0o42777 4712\n"


def test_aliases_of_hosts(mesh: Mesh) -> None:
    done = mesh.execute("back", ["python3", "-c", "import socket; print(socket.gethostbyname('db.example'))"])
    assert done.stdout == "10.244.9.9\n"


def test_limits_are_the_manifests(mesh: Mesh, daemon: Daemon) -> None:
    (pod,) = [each for key, each in mesh._sandbox._pods.items() if key == "default/back-0"]  # type: ignore[attr-defined]  # of the docker runtime
    host = daemon._api.inspect_container(pod.application.id)["HostConfig"]
    assert (host["CpuQuota"] / host["CpuPeriod"], host["Memory"]) == (0.5, 128 << 20)


def test_everybody_may_write_into_an_empty_folder(mesh: Mesh) -> None:
    done = mesh.execute("back", ["python3", "-c", "open('/scratch/x', 'w').write('y')"])
    assert (done.returncode, done.stderr) == (0, "")


def test_volumes_go_with_their_containers(example: str, daemon: Daemon) -> None:
    del example
    with Mesh.from_manifests(MANIFEST, runtime="docker", images={"back": "manifest"}) as mesh:
        run = mesh._runtime._run.name  # type: ignore[attr-defined]  # of the docker runtime
        kinds = [kind for kind, _, _ in daemon.labelled(f"meshtest.run={run}")]
        assert kinds.count("volume") == 3  # the run's own, and two folders
    assert list(daemon.labelled(f"meshtest.run={run}")) == []


def test_a_secret_that_is_not_there_starts_nothing(example: str) -> None:
    del example
    text = MANIFEST.replace("secretKeyRef: {name: keys,", "secretKeyRef: {name: kesy,")
    with pytest.raises(ManifestError, match=r"secretKeyRef: no Secret 'kesy' .* did you mean 'keys'\?"):
        Mesh.from_manifests(text, runtime="docker", images={"back": "manifest"})
