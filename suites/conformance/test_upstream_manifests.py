"""Envoy takes all that istiod makes of the manifests in Istio's own tests and samples; nothing is rejected.

They are not part of this project, and are read where Go's module cache has them, in the version that the engine is
built with. What the API server would refuse of them is left out: upstream's tests hand it to istiod past it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshtest import Mesh
from meshtest.istiod.binary import SOURCE
from meshtest.mesh.manifests import identity, manifests_of
from meshtest.mesh.yaml_source import documents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest.mesh.model import Manifest

GO = Path(os.environ.get("GOPATH") or Path.home() / "go")
CACHE = Path(os.environ.get("GOMODCACHE") or GO / "pkg" / "mod")
VERSION = re.search(r"^\s*istio.io/istio (v\S+)", (SOURCE / "go.mod").read_text(), re.MULTILINE)
ISTIO = CACHE / f"istio.io/istio@{VERSION[1] if VERSION else ''}"
if not (ISTIO / "pilot").is_dir():
    pytest.skip(f"{ISTIO} is not there", allow_module_level=True)

SOURCES = (
    "pilot/pkg/security/authz/builder/testdata/*/*-in.yaml",
    "pkg/config/validation/testdata/crds/*-valid.yaml",
    "pilot/pkg/config/kube/gateway/testdata/*.yaml",
    "samples/bookinfo/networking/*.yaml",
    "samples/bookinfo/gateway-api/*.yaml",
)
LEFT_OUT = {
    "invalid.yaml",  # names that no object can have
    "envoyfilter-valid.yaml",  # patches of upstream's imagination
}
FILES = [path for pattern in SOURCES for path in sorted(ISTIO.glob(pattern)) if path.name not in LEFT_OUT]
APPLICATION = """
apiVersion: v1
kind: Service
metadata: {name: httpbin, namespace: foo}
spec: {selector: {app: httpbin}, ports: [{name: http, port: 8000, targetPort: 80}, {name: tcp, port: 9000}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: httpbin, namespace: foo}
spec:
  selector: {matchLabels: {app: httpbin}}
  template:
    metadata: {labels: {app: httpbin, version: v1}}
    spec: {containers: [{name: app, image: app, ports: [{containerPort: 80}, {containerPort: 9000}]}]}
"""
"""The workload that upstream's policies are about."""


@pytest.fixture(scope="module")
def mesh(meshtest_runtime: str) -> Iterator[Mesh]:
    switches = {"PILOT_ENABLE_ALPHA_GATEWAY_API": "true"}
    with Mesh.from_manifests(
        APPLICATION, allow_unsupported=True, engine_env=switches, runtime=meshtest_runtime
    ) as made:
        yield made


def accepted(mesh: Mesh, path: Path) -> list[Manifest]:
    """The objects of a file that a cluster would hold after it was applied."""
    found = documents(path.read_text(encoding="utf-8"), path.name)
    held = {
        identity(one.ref): one for one in manifests_of(one for one in found if isinstance(one.value, dict))
    }
    told = mesh.engine.validate([dict(one.body) for one in held.values()])
    wrong = {(one.object.kind, one.object.namespace, one.object.name) for one in told if one.level == "error"}
    return [one for one in held.values() if (one.ref.kind, one.ref.namespace, one.ref.name) not in wrong]


@pytest.mark.mesh
@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_envoy_takes_what_istiod_makes_of_them(mesh: Mesh, path: Path) -> None:
    manifests = accepted(mesh, path)
    assert manifests
    mesh.replace(*manifests)
    assert mesh.request("foo/httpbin", "http://httpbin.foo:8000/").outcome != "timeout"
