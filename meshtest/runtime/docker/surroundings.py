"""The edge to testcontainers: where its users' settings say that the daemon is, and whether a reaper is wanted.

DOCKER_HOST, Docker's contexts and ~/.testcontainers.properties, in the order that testcontainers reads them.
"""

from __future__ import annotations

import os

from meshtest.errors import Unsupported

_MISSING = "the docker runtime needs the packages docker and testcontainers: pip install 'meshtest[docker]'"


def docker_host() -> str | None:
    """The daemon's URL; None for the usual socket."""
    if os.environ.get("DOCKER_HOST"):
        return os.environ["DOCKER_HOST"]
    try:
        from testcontainers.core.docker_client import get_docker_host  # noqa: PLC0415 - heavy, an extra
    except ImportError as exc:
        raise Unsupported(_MISSING) from exc
    return get_docker_host()


def reaper_disabled() -> bool:
    """Whether the user forbids containers that see the daemon's socket (TESTCONTAINERS_RYUK_DISABLED)."""
    from testcontainers.core.config import testcontainers_config  # noqa: PLC0415 - as above

    return bool(testcontainers_config.ryuk_disabled)


def daemon_socket(host: str | None) -> str:
    """The path of the daemon's socket on the daemon's machine."""
    from testcontainers.core.config import testcontainers_config  # noqa: PLC0415 - as above

    given = os.environ.get("TESTCONTAINERS_DOCKER_SOCKET_OVERRIDE")
    if given:
        return given
    if host is not None and host.startswith("unix://"):
        return host.removeprefix("unix://")
    return str(testcontainers_config.ryuk_docker_socket) if host is None else "/var/run/docker.sock"
