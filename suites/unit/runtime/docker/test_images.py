"""Users' images run unchanged."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from meshtest.errors import RuntimeFailure, Unsupported
from meshtest.live.mesh import Mesh
from meshtest.scenario.images import ImageSpec, Resources

if TYPE_CHECKING:
    from pathlib import Path

    from meshtest.runtime.docker.client import Daemon


def test_an_image_runs_unchanged_behind_a_sidecar(example: str, two_manifests: str) -> None:
    del example  # the manifest names it
    with Mesh.from_manifests(two_manifests, runtime="docker", images={"back": "manifest"}) as mesh:
        one = mesh.request("front", "http://back/")
        assert one.body == b"hello from image x"
        assert next(hop for hop in one.hops if hop.side == "inbound").tls == "TLSv1.3"


def test_a_scenario_changes_what_an_image_is_told(example: str, two_manifests: str, daemon: Daemon) -> None:
    told = ImageSpec(
        image=example, args=("y",), env={"GREETER": "me"}, resources=Resources(cpu=0.5, memory=2**26)
    )
    with Mesh.from_manifests(two_manifests, runtime="docker", images={"back": told}) as mesh:
        assert mesh.request("front", "http://back/").body == b"hello from me y"
        run = mesh._runtime._run  # type: ignore[attr-defined]  # of the docker runtime
        labels = {
            one["Id"]: one["Labels"]
            for one in daemon._api.containers(filters={"label": f"meshtest.run={run.name}"})
        }
        app = next(
            key
            for key, each in labels.items()
            if each.get("meshtest.pod") == "default/back-0" and each["meshtest.part"] == "application"
        )
        host = daemon._api.inspect_container(app)["HostConfig"]
        assert (host["CpuQuota"] / host["CpuPeriod"], host["Memory"]) == (0.5, 2**26)


def test_a_program_of_this_machine_is_copied_in(
    daemon: Daemon, two_manifests: str, example_program: str, tmp_path: Path
) -> None:
    del daemon
    script = tmp_path / "app.py"
    script.write_text(example_program)
    with Mesh.from_manifests(
        two_manifests, runtime="docker", commands={"default/back": ["python3", str(script), "z"]}
    ) as mesh:
        assert mesh.request("front", "http://back/").body == b"hello from nobody z"


def test_an_image_that_is_nowhere_is_one_clear_error(daemon: Daemon, two_manifests: str) -> None:
    before = set(owned(daemon))
    with pytest.raises(
        RuntimeFailure, match="image meshtest-no-such-image:1 is not here and cannot be pulled"
    ):
        Mesh.from_manifests(two_manifests, runtime="docker", images={"back": "meshtest-no-such-image:1"})
    assert set(owned(daemon)) <= before


def owned(daemon: Daemon) -> list[str]:
    """Everything that belongs to runs of this process."""
    return [
        name for _, name, carried in daemon.labelled("meshtest.run") if f" {os.getpid()} " in str(carried)
    ]


def test_an_application_that_ends_says_its_last_words(daemon: Daemon, two_manifests: str) -> None:
    del daemon
    words = ["python3", "-c", "raise SystemExit('no database')"]
    with pytest.raises(RuntimeFailure, match=r"default/back-0 application ended with 1\nno database"):
        Mesh.from_manifests(two_manifests, runtime="docker", commands={"default/back": words})


def test_netns_says_that_it_runs_no_images(two_manifests: str) -> None:
    with pytest.raises(Unsupported, match="runs no images: use --mesh-runtime=docker"):
        Mesh.from_manifests(two_manifests, runtime="netns", images={"back": "manifest"})
