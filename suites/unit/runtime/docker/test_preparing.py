"""Init containers of users' images: in turn, before the application, part of the mesh; and what if one fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.errors import RuntimeFailure
from meshtest.live.mesh import Mesh
from meshtest.runtime.docker import preparing
from suites.unit.two import EXAMPLE_IMAGE, FRONT, SERVICE, running

if TYPE_CHECKING:
    from collections.abc import Iterator

MANIFEST = (
    SERVICE
    + SERVICE.replace("back", "other")
    + running("other", "a")
    + """---
apiVersion: apps/v1
kind: Deployment
metadata: {name: back}
spec:
  selector: {matchLabels: {app: back}}
  template:
    metadata: {labels: {app: back}}
    spec:
      initContainers:
      - name: first
        image: IMAGE
        command: [python3, -c, "open('/shared/said', 'x').write('$(WORD)')"]
        env: [{name: WORD, value: one}]
        volumeMounts: [{name: shared, mountPath: /shared}]
      - name: second
        image: IMAGE
        command:
        - python3
        - -c
        - |
          import urllib.request
          answer = urllib.request.urlopen("http://other/", timeout=5)
          said = open("/in/said").read()
          open("/in/both", "w").write(f"{said} two {answer.status} {answer.headers['server']}")
        securityContext: {runAsUser: 4711}
        volumeMounts: [{name: shared, mountPath: /in}]
      containers:
      - name: back
        image: IMAGE
        ports: [{containerPort: 8080}]
        volumeMounts: [{name: shared, mountPath: /data}]
      volumes: [{name: shared, emptyDir: {}}]
""".replace("IMAGE", EXAMPLE_IMAGE)
    + FRONT
)


@pytest.fixture(scope="module")
def mesh(example: str) -> Iterator[Mesh]:
    del example  # the manifest names it
    with Mesh.from_manifests(MANIFEST, runtime="docker", images={"back": "manifest"}) as found:
        yield found


def test_each_finds_what_the_one_before_it_left_and_is_part_of_the_mesh(mesh: Mesh) -> None:
    assert mesh.request("front", "http://back/file/data/both").body == b"0o644 one two 200 envoy"


def test_a_pod_that_comes_again_finds_its_volumes_empty(mesh: Mesh) -> None:
    mesh.apply(MANIFEST.replace("value: one", "value: ones"))
    assert mesh.request("front", "http://back/file/data/both").body == b"0o644 ones two 200 envoy"


def test_one_that_fails_for_good_says_why(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    del example
    monkeypatch.setattr(preparing, "_PATIENCE", 2.0)
    text = MANIFEST.replace("$(WORD)')", "$(WORD)'); raise SystemExit('no such table: users')")
    with pytest.raises(
        RuntimeFailure, match=r"default/back-0 init container first ended with 1\n.*no such table: users"
    ):
        Mesh.from_manifests(text, runtime="docker", images={"back": "manifest"})


def test_one_that_fails_is_started_again(example: str) -> None:
    del example
    once = "import os; os.path.exists('/shared/tried') or (open('/shared/tried', 'w'), os._exit(3))"
    text = MANIFEST.replace("open('/shared/said', 'x')", f"{once}; open('/shared/said', 'x')")
    with Mesh.from_manifests(text, runtime="docker", images={"back": "manifest"}) as mesh:
        assert mesh.request("front", "http://back/file/data/both").body == b"0o644 one two 200 envoy"
