"""What goes wrong with Docker is one clear error that says what to do, and nothing is left behind."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.errors import RuntimeFailure
from meshtest.live.mesh import Mesh
from meshtest.runtime.docker import cleaning, labels
from meshtest.runtime.docker.client import Daemon
from meshtest.runtime.docker.labels import Owner
from meshtest.runtime.docker.runtime import DockerRuntime

if TYPE_CHECKING:
    from pathlib import Path


def owned(daemon: Daemon) -> set[str]:
    """Everything that belongs to runs of this process."""
    owners = {
        (name, Owner.parse(carried.get(labels.OWNER, ""))) for _, name, carried in daemon.labelled(labels.RUN)
    }
    return {name for name, owner in owners if owner is not None and owner.pid == os.getpid()}


def test_a_daemon_on_another_machine_runs_everything(elsewhere: Any, two_manifests: str) -> None:
    with Mesh.from_manifests(two_manifests, runtime="docker") as mesh:
        one = mesh.request("front", "http://back/")
        assert one.status == 200
        assert next(hop for hop in one.hops if hop.side == "inbound").tls == "TLSv1.3"
    assert any("POST" in asked and "/containers/create" in asked for asked in elsewhere.requests)


@pytest.mark.parametrize("after", [0, 3], ids=["at once", "halfway"])
def test_a_full_disk_is_said_and_nothing_is_left(
    elsewhere: Any, daemon: Daemon, two_manifests: str, after: int
) -> None:
    before = owned(daemon)
    message = "error creating overlay mount: mkdir /var/lib/docker/overlay2/x: no space left on device"
    elsewhere.order("POST .*/containers/create", 500, message, after=after)
    with pytest.raises(
        RuntimeFailure, match="the daemon's disk is full: docker system prune, and meshtest doctor"
    ):
        Mesh.from_manifests(two_manifests, runtime="docker")
    assert owned(daemon) <= before


def test_a_container_that_does_not_start_is_said_and_nothing_is_left(
    elsewhere: Any, daemon: Daemon, two_manifests: str
) -> None:
    before = owned(daemon)
    elsewhere.order("POST .*/start$", 500, "OCI runtime create failed: cgroups", after=2)
    with pytest.raises(RuntimeFailure, match="does not start: OCI runtime create failed: cgroups"):
        Mesh.from_manifests(two_manifests, runtime="docker")
    assert owned(daemon) <= before


def test_docker_that_ends_while_a_mesh_runs_is_said_at_once(
    elsewhere: Any, daemon: Daemon, two_manifests: str
) -> None:
    with Mesh.from_manifests(two_manifests, runtime="docker") as mesh:
        assert mesh.request("front", "http://back/").status == 200
        run = mesh._runtime._run.name  # type: ignore[attr-defined]  # of the docker runtime
        elsewhere.cut()
        began = time.monotonic()
        with pytest.raises(RuntimeFailure, match="Docker has ended"):
            mesh.request("front", "http://back/")
        assert time.monotonic() - began < 5
    cleaning.remove(daemon, cleaning.of_run(daemon, run))


def test_docker_that_ends_while_a_mesh_starts_is_said_at_once(
    elsewhere: Any, daemon: Daemon, two_manifests: str
) -> None:
    before = owned(daemon)
    elsewhere.until = lambda asked: len([one for one in asked if one.endswith("/start")]) == 3
    with pytest.raises(RuntimeFailure, match=r"Docker has ended|start Docker"):
        Mesh.from_manifests(two_manifests, runtime="docker")
    for kind, name, _ in list(daemon.labelled(labels.RUN)):
        if name in owned(daemon) - before:
            daemon.remove(kind, name)


def test_no_permission_on_the_socket_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "docker.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        path.chmod(0)
        was = os.geteuid()
        if was == 0:
            os.seteuid(65534)
        try:
            with pytest.raises(RuntimeFailure, match="add this user to the group docker"):
                Daemon()
        finally:
            os.seteuid(was)


def test_no_daemon_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    problem = DockerRuntime().missing()
    assert problem is not None
    assert "start Docker, or set DOCKER_HOST" in problem
    assert str(tmp_path) in problem


def test_a_network_that_is_taken_is_passed_over(two: Mesh, two_manifests: str) -> None:
    with Mesh.from_manifests(two_manifests, runtime="docker") as mesh:
        assert mesh.request("front", "http://back/").status == 200
        assert not {pod.ip for pod in mesh.pods} & {pod.ip for pod in two.pods}
