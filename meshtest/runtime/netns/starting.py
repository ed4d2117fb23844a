"""How the processes of a sandbox are started, and how each shows that it is ready."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshtest.envoy.bootstrap import FLAGS
from meshtest.runtime.base import Command, Role
from meshtest.runtime.netns import files
from meshtest.runtime.netns.processes import Process, call_role, execute, name_process

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshtest.runtime.netns.pods import Namespaces, PodPlace
    from meshtest.runtime.netns.processes import Forker
    from meshtest.runtime.netns.spec import PodSpec

_INHERITED = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "LD_LIBRARY_PATH",
    "VIRTUAL_ENV",
    "JAVA_HOME",
)
_LISTEN = "0A"
"""TCP_LISTEN in the kernel's tables."""


class Probe:
    """Says whether a process is ready; asked every few milliseconds."""

    lacking = ""
    """What it has not done as long as it is not, in words."""

    def ready(self) -> bool:
        """Whether it is by now."""
        return True

    def close(self) -> None:
        """Let go of what was needed to ask."""


class PipeProbe(Probe):
    """A role writes one byte when it listens."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        os.set_blocking(descriptor, False)

    def ready(self) -> bool:
        """Whether the byte has come."""
        try:
            return bool(os.read(self._descriptor, 1))
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._descriptor)


class PortProbe(Probe):
    """A command is ready when its ports listen; or one does, and the others have been waited for.

    A Service may lead to a port that the program never opens, and in a cluster that keeps no pod from being ready.
    """

    GRACE = 1.0
    """Seconds that the other ports get once one listens."""

    def __init__(self, place: PodPlace, home: Namespaces) -> None:
        self._place = place
        self._home = home
        self._wanted = set(place.spec.readiness_ports)
        self.lacking = f"listens on none of its ports: {', '.join(map(str, sorted(self._wanted)))}"
        self._first = 0.0

    def ready(self) -> bool:
        """Whether every port listens, or one does and the time of the others is over."""
        with self._place.inside(self._home):
            found = self._wanted & listening(self._wanted)
        if found and not self._first:
            self._first = time.monotonic()
        return found == self._wanted or bool(found and time.monotonic() - self._first > self.GRACE)


def listening(wanted: Iterable[int]) -> set[int]:
    """The TCP ports that listen in this thread's network namespace; asked of the kernel, so that nobody is called."""
    found: set[int] = set()
    tables = [Path(f"/proc/thread-self/net/{name}") for name in ("tcp", "tcp6")]
    try:
        for rows in (table.read_text(encoding="ascii").splitlines() for table in tables if table.exists()):
            found |= {int(row.split()[1].rpartition(":")[2], 16) for row in rows if row.split()[3] == _LISTEN}
    except OSError:
        pass
    if tables[0].exists():
        return found
    return {port for port in wanted if _connects(port)}  # a /proc of another PID namespace does not know us


def _connects(port: int) -> bool:
    with socket.socket() as sock:
        sock.settimeout(0.05)
        return sock.connect_ex(("127.0.0.1", port)) == 0


def start_application(
    forker: Forker, place: PodPlace, application: Role | Command, home: Namespaces
) -> tuple[Process, Probe]:
    """Start what runs beside a sidecar."""
    name = f"{place.spec.key} application"
    if isinstance(application, Command):
        env = environment(place.spec, application.env)
        process = forker.fork(name, lambda: execute(application.argv, env), place=place.namespaces)
        return process, PortProbe(place, home) if place.spec.readiness_ports else Probe()
    reader, writer = os.pipe2(os.O_CLOEXEC)
    config: dict[str, Any] = {**application.config, "ready_fd": writer}

    def body() -> int | None:
        name_process(place.spec.hostname)
        os.environ.update(environment(place.spec, {}))
        return call_role(application.target, config, None)

    process = forker.fork(name, body, place=place.namespaces, keep=(writer,))
    os.close(writer)
    return process, PipeProbe(reader)


def start_sidecar(forker: Forker, place: PodPlace, envoy: str, concurrency: int) -> Process:
    """Start an Envoy from the bootstrap that `write_bootstrap` wrote."""
    argv = (
        envoy,
        "-c",
        str(files.bootstrap(place.spec.slug)),
        "--concurrency",
        str(concurrency),
        *FLAGS,
    )
    env = environment(place.spec, {})
    return forker.fork(f"{place.spec.key} sidecar", lambda: execute(argv, env), place=place.namespaces)


def write_bootstrap(spec: PodSpec) -> None:
    """Write a sidecar's bootstrap where only its owner can read it."""
    opened = os.open(files.bootstrap(spec.slug), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(opened, "w") as out:
        out.write(spec.bootstrap or "")


def environment(spec: PodSpec, extra: Mapping[str, str]) -> dict[str, str]:
    """The variables that a pod's programs see: few of this machine's, as in a container."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    own = {"HOSTNAME": spec.hostname, "TMPDIR": str(files.TEMPORARY)}
    return {"PATH": os.defpath, **inherited, **own, **spec.env, **extra}
