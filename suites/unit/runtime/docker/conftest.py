"""Meshes of containers for the tests of the docker runtime, where a daemon answers."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.errors import EngineError, RuntimeFailure
from meshtest.live.mesh import Mesh
from meshtest.runtime.docker.runtime import DockerRuntime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest.runtime.docker.client import Daemon

TWO = """
apiVersion: v1
kind: Service
metadata: {name: back}
spec: {selector: {app: back}, ports: [{port: 80, name: http, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: back}
spec:
  selector: {matchLabels: {app: back}}
  template:
    metadata: {labels: {app: back}}
    spec: {containers: [{name: back, image: "meshtest-example:1", ports: [{containerPort: 8080}]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: front}
spec:
  selector: {matchLabels: {app: front}}
  template:
    metadata: {labels: {app: front}}
    spec: {containers: [{name: front, image: "meshtest-example:1", ports: [{containerPort: 8080}]}]}
"""


@pytest.fixture(scope="session")
def two_manifests() -> str:
    return TWO


@pytest.fixture(scope="session")
def daemon() -> Iterator[Daemon]:
    """The daemon; tests are skipped where there is none, or no image and nothing to make it of."""
    runtime = DockerRuntime()
    problem = runtime.missing()
    if problem is not None:
        pytest.skip(problem)
    found = runtime.daemon
    yield found
    found.close()


@pytest.fixture(scope="session")
def two(daemon: Daemon) -> Iterator[Mesh]:
    """Two workloads of stand-ins."""
    del daemon
    with contextlib.ExitStack() as stack:
        try:
            mesh = stack.enter_context(Mesh.from_manifests(TWO, runtime="docker"))
        except EngineError as exc:
            pytest.skip(str(exc))
        except RuntimeFailure as exc:
            if "cannot be pulled" in str(exc):
                pytest.skip(str(exc))
            raise
        yield mesh


@pytest.fixture
def elsewhere(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The daemon, as if on another machine: see `gateway.py`."""
    path = (daemon.host or "unix:///var/run/docker.sock").removeprefix("unix://")
    if not path.startswith("/"):
        pytest.skip("the daemon has no socket here")
    spec = importlib.util.spec_from_file_location("meshtest_gateway", Path(__file__).with_name("gateway.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    gateway = module.Gateway(path)
    monkeypatch.setenv("DOCKER_HOST", gateway.url)
    yield gateway
    gateway.cut()
