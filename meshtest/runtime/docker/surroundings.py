"""The edge to testcontainers: where its users' settings say that the daemon is, and whether a reaper is wanted.

DOCKER_HOST, else DOCKER_CONTEXT, else what testcontainers finds: ~/.testcontainers.properties, the current context.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshtest.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping

_MISSING = "the docker runtime needs the packages docker and testcontainers: pip install 'meshtest[docker]'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where the daemon is."""

    url: str | None
    """None: the usual socket."""
    tls: Any = None
    """What a context says of it, as the SDK has it."""

    @property
    def arguments(self) -> Mapping[str, Any]:
        """For the SDK's client."""
        from docker.utils import kwargs_from_env  # noqa: PLC0415 - heavy, an extra

        given: dict[str, Any] = kwargs_from_env()  # DOCKER_TLS_VERIFY and DOCKER_CERT_PATH
        if self.url:
            given["base_url"] = self.url
        if self.tls:
            given["tls"] = self.tls
        if (self.url or "").startswith("ssh://"):
            given["use_ssh_client"] = True
        return given


def endpoint() -> Endpoint:
    """The daemon, as Docker's own tools would choose it."""
    if os.environ.get("DOCKER_HOST"):
        return Endpoint(url=os.environ["DOCKER_HOST"])
    try:
        from docker.context import ContextAPI  # noqa: PLC0415 - heavy, an extra
        from testcontainers.core.docker_client import get_docker_host  # noqa: PLC0415 - as above
    except ImportError as exc:
        raise Unsupported(_MISSING) from exc
    named = os.environ.get("DOCKER_CONTEXT")
    context = ContextAPI.get_context(named) if named else ContextAPI.get_current_context()
    if named and context is None:
        raise Unsupported(f"DOCKER_CONTEXT={named} names no context: docker context ls")
    url = context.Host if named else get_docker_host()
    return Endpoint(url=url, tls=context.TLSConfig if context and url == context.Host else None)


def session_labels() -> Mapping[str, str]:
    """What testcontainers puts on the containers of this process: tools that look for these find ours, too."""
    from testcontainers.core.labels import create_labels  # noqa: PLC0415 - as above

    return dict(create_labels("", None))


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
