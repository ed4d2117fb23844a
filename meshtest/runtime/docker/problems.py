"""Docker's errors in meshtest's words: what went wrong, and what to do about it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from meshtest.errors import RuntimeFailure

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDED = "Docker has ended, or DOCKER_HOST names something else"
_SAYINGS = (
    (
        "permissionerror(13",
        "no permission on the daemon's socket: add this user to the group docker, or run rootless",
    ),
    ("no space left", "the daemon's disk is full: docker system prune, and meshtest doctor --clean"),
    ("port is already allocated", "another program has the port: choose another one, or end that program"),
    ("address already in use", "another program has the port: choose another one, or end that program"),
    ("pull access denied", "the image cannot be pulled: check its name, log in, or build it first"),
    ("no such image", "the image is missing here and was not pulled: check its name, or build it first"),
    ("manifest unknown", "the registry has no such tag: check the image's name"),
    ("cannot connect", "start Docker, or set DOCKER_HOST"),
    ("connection aborted", ENDED),
    ("connection refused", "start Docker, or set DOCKER_HOST"),
    ("filenotfounderror(2", "start Docker, or set DOCKER_HOST"),
    ("unable to start container process: exec", "the image has no such program: check command and args"),
    ("client version", "the daemon is too old or too new for the package docker: update either"),
)


@contextlib.contextmanager
def explained(what: str) -> Iterator[None]:
    """Have the SDK's errors come out as RuntimeFailure that says what to do."""
    import docker.errors  # noqa: PLC0415 - heavy, an extra
    import requests.exceptions  # noqa: PLC0415 - comes with it

    try:
        yield
    except docker.errors.BuildError as exc:
        lines = "".join(str(line.get("stream", line.get("error", ""))) for line in exc.build_log)
        raise RuntimeFailure(f"{what}: {exc}\n{lines[-2000:]}") from exc
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as exc:
        said = str(getattr(exc, "explanation", None) or exc)
        raise RuntimeFailure(f"{what}: {said}{advice(repr(exc) + str(exc) + said)}") from exc


def advice(said: str) -> str:
    """What to do about what Docker said; empty for what says it itself."""
    found = next((advice for sign, advice in _SAYINGS if sign in said.lower()), "")
    return f"; {found}" if found else ""
