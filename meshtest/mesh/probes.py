"""Probes of containers as manifests write them (`readinessProbe`, `startupProbe`), with Kubernetes' defaults."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from meshtest.errors import ManifestError, nearest
from meshtest.mesh.yaml_lines import child_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.mesh.fields import Fields
    from meshtest.mesh.model import ContainerPort

HTTP, TCP, EXEC, GRPC = "httpGet", "tcpSocket", "exec", "grpc"
HANDLERS = (HTTP, TCP, EXEC, GRPC)
TIMES = {
    "initialDelaySeconds": 0,
    "periodSeconds": 10,
    "timeoutSeconds": 1,
    "successThreshold": 1,
    "failureThreshold": 3,
}
"""Defaults, also for 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """How to find out whether a container takes requests."""

    handler: str
    port: int = 0
    path: str = "/"
    secure: bool = False
    """Whether `httpGet` speaks TLS; nobody verifies the certificate."""
    headers: Mapping[str, str] = field(default_factory=dict)
    host: str = ""
    """Where `httpGet` and `tcpSocket` go instead of the pod."""
    command: tuple[str, ...] = ()
    service: str = ""
    """What `grpc` asks about."""
    initial_delay: float = 0.0
    period: float = 10.0
    timeout: float = 1.0
    successes: int = 1
    """So many in a row make a container ready that was not."""
    failures: int = 3

    @property
    def words(self) -> str:
        """What it does, in words."""
        where = f"{self.host}:{self.port}" if self.host else f"port {self.port}"
        return {
            HTTP: f"HTTP{'S' if self.secure else ''} GET {self.path} on {where}",
            TCP: f"a connection to {where}",
            EXEC: " ".join(self.command),
            GRPC: f"gRPC health of {self.service!r} on {where}"
            if self.service
            else f"gRPC health on {where}",
        }[self.handler]


def probe_of(box: Fields, name: str, ports: tuple[ContainerPort, ...]) -> Probe | None:
    """The probe of this name, `readinessProbe` for one; None if the container has none."""
    return read_probe(box.mapping(name), ports) if box.value.get(name) else None


def read_probe(probe: Fields, ports: tuple[ContainerPort, ...]) -> Probe:
    """A probe as it is written; raises ManifestError for what a cluster would refuse."""
    chosen = [key for key in HANDLERS if probe.value.get(key) is not None]
    unknown = next(
        (key for key in probe.value if key not in {*HANDLERS, *TIMES, "terminationGracePeriodSeconds"}), None
    )
    if unknown is not None:
        raise ManifestError(
            "unknown field",
            location=probe.at(unknown),
            key=child_path(probe.path, unknown),
            nearest=nearest(unknown, (*HANDLERS, *TIMES)),
        )
    if len(chosen) != 1:
        raise probe.error("", f"{len(chosen) or 'no'} handlers", expected=f"one of {', '.join(HANDLERS)}")
    found = _handler(chosen[0], probe.mapping(chosen[0]), ports)
    return replace(
        found,
        initial_delay=_time(probe, "initialDelaySeconds"),
        period=_time(probe, "periodSeconds"),
        timeout=_time(probe, "timeoutSeconds"),
        successes=_time(probe, "successThreshold"),
        failures=_time(probe, "failureThreshold"),
    )


def _handler(kind: str, at: Fields, ports: tuple[ContainerPort, ...]) -> Probe:
    if kind == EXEC:
        command = at.words("command")
        if not command:
            raise at.error("command", "missing", expected="a program and its arguments")
        return Probe(handler=kind, command=command)
    if kind == GRPC:
        return Probe(handler=kind, port=at.port("port"), service=at.text("service"))
    port, host = _port(at, ports), at.text("host")
    if kind == TCP:
        return Probe(handler=kind, port=port, host=host)
    scheme = at.text("scheme", "HTTP").upper()
    if scheme not in {"HTTP", "HTTPS"}:
        raise at.error("scheme", f"no scheme {scheme!r}", expected="HTTP or HTTPS")
    path = at.text("path") or "/"
    return Probe(
        handler=kind,
        port=port,
        host=host,
        path=path if path.startswith("/") else f"/{path}",
        secure=scheme == "HTTPS",
        headers={one.text("name"): one.text("value") for one in at.items("httpHeaders")},
    )


def _port(at: Fields, ports: tuple[ContainerPort, ...]) -> int:
    name = at.value.get("port")
    if not isinstance(name, str):
        return at.port("port")
    named = {port.name: port.number for port in ports if port.name}
    if name not in named:
        raise ManifestError(
            f"the container has no port {name!r}",
            location=at.at("port"),
            key=child_path(at.path, "port"),
            expected="a number, or the name of one of its ports",
            nearest=nearest(name, named),
        )
    return named[name]


def _time(probe: Fields, key: str) -> int:
    found = probe.whole(key, 0)
    if found < 0:
        raise probe.error(key, f"{found} is too small", expected="0 or more")
    return found or TIMES[key]
