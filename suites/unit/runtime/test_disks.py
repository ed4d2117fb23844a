"""Programs of a pod find what their manifest mounts, and the machine's own disk is as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from meshtest.mesh.disk import Disk
from meshtest.runtime.base import Command


def start(bench: Any, disk: Disk) -> Any:
    return bench.start(bench.pod("a", 2, application=Command(argv=("sleep", "60"), disk=disk)))


def said(sandbox: Any, *argv: str) -> str:
    done = sandbox.execute("default/a", argv, timeout=10.0)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def test_a_folder_of_files_that_the_machine_has_not(bench: Any) -> None:
    before = sorted(Path("/etc").iterdir())
    files = {
        "/etc/meshtest-app/deep/a.conf": (b"one", 0o440),
        "/etc/meshtest-app/deep/sub/b": (b"two", 0o644),
    }
    sandbox = start(bench, Disk(folders=("/etc/meshtest-app/deep",), files=files))
    assert said(sandbox, "cat", *files) == "onetwo"
    assert said(sandbox, "stat", "-c", "%a", "/etc/meshtest-app/deep/a.conf") == "440\n"
    assert (
        said(sandbox, "sh", "-c", "echo x > /etc/meshtest-app/deep/new; cat /etc/meshtest-app/deep/new")
        == "x\n"
    )
    assert said(sandbox, "cat", "/etc/passwd") == Path("/etc/passwd").read_text()
    assert "10.96.0.10" in said(sandbox, "cat", "/etc/resolv.conf")
    assert sorted(Path("/etc").iterdir()) == before


def test_a_mount_hides_what_the_machine_has_there(bench: Any, tmp_path: Path) -> None:
    (tmp_path / "old").touch()
    sandbox = start(bench, Disk(folders=(str(tmp_path),), files={str(tmp_path / "new"): (b"", 0o644)}))
    assert said(sandbox, "ls", str(tmp_path)) == "new\n"
    assert [each.name for each in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize("name", ["there", "not-there", "below/not-there"])
def test_a_single_file_stands_beside_the_others(bench: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / "there").write_text("old")
    (tmp_path / "other").write_text("other")
    target = str(tmp_path / name)
    sandbox = start(bench, Disk(files={target: (b"new", 0o644)}))
    assert said(sandbox, "cat", target, str(tmp_path / "other")) == "newother"
    assert (tmp_path / "there").read_text() == "old"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["other", "there"]


def test_a_folder_below_the_root_that_the_machine_has_not(bench: Any) -> None:
    files = {"/meshtest-nowhere/app/a": (b"one", 0o644), "/meshtest-file": (b"two", 0o644)}
    sandbox = start(bench, Disk(folders=("/meshtest-nowhere/app",), files=files))
    assert said(sandbox, "cat", *files, "/etc/hostname") == "onetwoa\n"
    there = {each.name for each in Path("/").iterdir()}
    seen = set(said(sandbox, "ls", "-A", "/").split())
    assert seen - there == {"meshtest-nowhere", "meshtest-file"}
    assert not there - seen
    assert said(sandbox, "sh", "-c", "echo x > /dev/null; ls /proc/self/fd") != ""


def test_nothing_is_made_in_the_machines_root(bench: Any) -> None:
    start(bench, Disk(folders=("/meshtest-nowhere/app",)))
    assert not Path("/meshtest-nowhere").exists()
