from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from meshtest.errors import RuntimeFailure
from meshtest.runtime.docker.client import Daemon
from meshtest.runtime.docker.problems import explained

if TYPE_CHECKING:
    from pathlib import Path

docker = pytest.importorskip("docker")
requests = pytest.importorskip("requests")


@pytest.mark.parametrize(
    ("problem", "advice"),
    [
        (docker.errors.DockerException("PermissionError(13, 'Permission denied')"), "group docker"),
        (docker.errors.DockerException("FileNotFoundError(2, 'No such file or directory')"), "start Docker"),
        (docker.errors.APIError("500", explanation="write /var: no space left on device"), "system prune"),
        (docker.errors.APIError("500", explanation="port is already allocated"), "choose another one"),
        (docker.errors.ImageNotFound("404", explanation="No such image: a:1"), "build it first"),
        (docker.errors.APIError("404", explanation="pull access denied for a"), "log in"),
        (ConnectionAbortedError("Connection aborted."), "Docker has ended"),
        (docker.errors.APIError("404", explanation="manifest unknown"), "image's name"),
    ],
    ids=["permission", "no daemon", "disk full", "port", "image", "pull", "dies", "tag"],
)
def test_every_error_of_docker_says_what_to_do(problem: Exception, advice: str) -> None:
    with pytest.raises(RuntimeFailure, match=advice) as caught, explained("container x"):
        raise problem
    assert str(caught.value).startswith("container x: ")


def test_the_sdks_errors_do_not_leak() -> None:
    for problem in (requests.exceptions.ConnectionError("gone"), docker.errors.NotFound("none")):
        with pytest.raises(RuntimeFailure), explained("x"):
            raise problem


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("made", [False, True], ids=["no socket", "nobody listens"])
def test_a_daemon_that_is_not_there_leaves_no_socket_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, made: bool
) -> None:
    path = tmp_path / "docker.sock"
    if made:
        path.touch()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    unraisable: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", lambda args: unraisable.append(args.exc_value))
    with pytest.raises(RuntimeFailure, match="start Docker"):
        Daemon()
    gc.collect()
    assert unraisable == []
