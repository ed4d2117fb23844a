"""The edge to the Docker SDK: the few calls that meshtest makes, and its errors in meshtest's words."""

from __future__ import annotations

import io
import socket
import tarfile
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshtest.errors import RuntimeFailure, Unsupported
from meshtest.runtime.base import Completed
from meshtest.runtime.docker import surroundings
from meshtest.runtime.docker.client_images import ImageCalls
from meshtest.runtime.docker.problems import ENDED, explained
from meshtest.runtime.docker.streams import Attached

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_CALL_TIMEOUT = 120
_PING_TIMEOUT = 5
_USUAL_SOCKET = "unix:///var/run/docker.sock"
_CONNECTIONS = 64
_ENDLESS = 1 << 50
CPU_PERIOD = 100_000
"""Microseconds."""
_INSTALL = "the docker runtime needs the packages docker and testcontainers: pip install 'meshtest[docker]'"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """A container as it is made."""

    name: str
    image: str
    command: Sequence[str] | None
    labels: Mapping[str, str]
    environment: Mapping[str, str] = field(default_factory=dict)
    entrypoint: Sequence[str] | None = None
    user: str = ""
    hostname: str | None = None
    workdir: str | None = None
    attached: bool = False
    """Whether its standard streams are spoken to."""
    network: str | None = None
    address: str | None = None
    host: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the host configuration, as the SDK names them."""


def _knock(host: str | None) -> None:
    """Raise OSError where nobody listens on the daemon's socket; the SDK would leave its own half-open behind."""
    path = (host or _USUAL_SOCKET).removeprefix("http+")
    if not path.startswith("unix://"):
        return
    with socket.socket(socket.AF_UNIX) as knocking:
        knocking.connect(path.removeprefix("unix://"))


class Daemon(ImageCalls):
    """A Docker daemon; thread-safe."""

    def __init__(self) -> None:
        try:
            import docker  # noqa: PLC0415 - heavy, an extra
        except ImportError as exc:
            raise Unsupported(_INSTALL) from exc
        found = surroundings.endpoint()
        self.host = found.url
        with explained(f"no Docker daemon can be reached at {self.host or _USUAL_SOCKET}"):
            _knock(self.host)
            self._api = docker.APIClient(
                version="auto",
                timeout=_CALL_TIMEOUT,
                max_pool_size=_CONNECTIONS,
                num_pools=4,
                **found.arguments,
            )
            facts = self._api.version()
        self.version, self.machine = str(facts["Version"]), str(facts["Arch"])
        self._making = threading.Condition()
        self._under_way = 0
        self._over = False

    def close(self) -> None:
        """Close the connections to it."""
        self._api.close()

    def lost(self) -> RuntimeFailure | None:
        """What to say of a daemon that does not answer any more; None for one that does."""
        try:
            with explained("ping"):
                self._api.get(f"{self._api.base_url}/_ping", timeout=_PING_TIMEOUT).raise_for_status()
        except RuntimeFailure:
            return RuntimeFailure(f"{ENDED}; the next start removes what this run left")
        return None

    # -- networks and volumes --------------------------------------------------------------------------------

    def create_network(self, name: str, subnet: str, gateway: str, labels: Mapping[str, str]) -> str:
        """Make a bridge whose addresses nobody translates: what leaves it finds no way back."""
        from docker.types import IPAMConfig, IPAMPool  # noqa: PLC0415 - as above

        pool = IPAMPool(subnet=subnet, gateway=gateway)
        with explained(f"network {subnet} cannot be made"):
            made = self._api.create_network(
                name,
                driver="bridge",
                ipam=IPAMConfig(pool_configs=[pool]),
                options={"com.docker.network.bridge.enable_ip_masquerade": "false"},
                labels=dict(labels),
                check_duplicate=True,
            )
        return str(made["Id"])

    def create_volume(self, name: str, options: str, labels: Mapping[str, str]) -> None:
        """Make a volume in the daemon's memory."""
        with explained("the run's volume cannot be made"):
            self._api.create_volume(
                name,
                driver="local",
                driver_opts={"type": "tmpfs", "device": "tmpfs", "o": options},
                labels=dict(labels),
            )

    def labelled(self, label: str) -> Iterator[tuple[str, str, Mapping[str, str]]]:
        """Kind, name and labels of every container, network and volume that carries a label."""
        filters = {"label": label}
        with explained("what runs left cannot be listed"):
            for one in self._api.containers(all=True, filters=filters):
                yield "container", one["Id"], one["Labels"]
            for one in self._api.networks(filters=filters):
                yield "network", one["Id"], one.get("Labels") or {}
            for one in self._api.volumes(filters=filters).get("Volumes") or ():
                yield "volume", one["Name"], one.get("Labels") or {}

    def remove(self, kind: str, name: str) -> None:
        """Remove a container, network or volume, whatever it does; one that is gone is fine."""
        import docker.errors  # noqa: PLC0415 - as above

        with explained(f"{kind} {name[:12]} cannot be removed"):
            try:
                if kind == "container":
                    self._api.remove_container(name, force=True, v=True)
                elif kind == "network":
                    self._api.remove_network(name)
                else:
                    self._api.remove_volume(name, force=True)
            except docker.errors.NotFound:
                pass
            except docker.errors.APIError as exc:
                if "is already in progress" not in str(exc):
                    raise

    # -- containers ------------------------------------------------------------------------------------------

    def make_no_more(self) -> None:
        """Let no container be made from now on; returns when those under way are there, and so can be removed."""
        with self._making:
            self._over = True
            self._making.wait_for(lambda: self._under_way == 0, timeout=_CALL_TIMEOUT)

    def create(self, spec: ContainerSpec) -> str:
        """Make a container; returns its id."""
        with self._making:
            if self._over:
                raise RuntimeFailure(f"container {spec.name}: the run has ended")
            self._under_way += 1
        try:
            return self._create(spec)
        finally:
            with self._making:
                self._under_way -= 1
                self._making.notify_all()

    def _create(self, spec: ContainerSpec) -> str:
        with explained(f"container {spec.name}"):
            host = self._api.create_host_config(**spec.host)
            networking = None
            if spec.network is not None:
                endpoint = self._api.create_endpoint_config(ipv4_address=spec.address)
                networking = self._api.create_networking_config({spec.network: endpoint})
            made = self._api.create_container(
                spec.image,
                command=list(spec.command) if spec.command is not None else None,
                name=spec.name,
                hostname=spec.hostname,
                user=spec.user or None,
                environment=dict(spec.environment),
                entrypoint=list(spec.entrypoint) if spec.entrypoint is not None else None,
                labels=dict(spec.labels),
                working_dir=spec.workdir,
                stdin_open=spec.attached,
                host_config=host,
                networking_config=networking,
            )
        return str(made["Id"])

    def start(self, container: str, what: str) -> None:
        """Start a container."""
        with explained(f"{what} does not start"):
            self._api.start(container)

    def signal(self, container: str, what: str, action: str) -> None:
        """`kill`, `stop`, `pause` or `unpause` a container; one that is in that state already is fine."""
        import docker.errors  # noqa: PLC0415 - as above

        with explained(f"{what}: {action}"):
            try:
                call = getattr(self._api, action)
                call(container, **({"timeout": 5} if action == "stop" else {}))
            except docker.errors.APIError as exc:
                if not any(
                    word in str(exc) for word in ("is not running", "already paused", "is not paused")
                ):
                    raise

    def limit(self, container: str, what: str, cpus: float | None, memory: int | None) -> None:
        """Limit a running container; None: no limit."""
        with explained(f"{what} cannot be limited"):
            self._api.update_container(
                container,
                cpu_period=CPU_PERIOD,
                cpu_quota=-1 if cpus is None else round(cpus * CPU_PERIOD),
                mem_limit=_ENDLESS if memory is None else memory,  # the daemon takes no "none" here
                memswap_limit=_ENDLESS if memory is None else memory,
            )

    def wait(self, container: str, what: str, timeout: float) -> int:
        """Wait for a container's end; returns its exit code."""
        with explained(f"{what} does not end"):
            return int(self._api.wait(container, timeout=timeout)["StatusCode"])

    def state(self, container: str) -> Mapping[str, Any]:
        """Status, exit code and error of a container."""
        with explained(f"container {container[:12]}"):
            return dict(self._api.inspect_container(container)["State"])

    def logs(self, container: str, lines: int) -> str:
        """The last lines of a container."""
        with explained(f"container {container[:12]}"):
            return bytes(self._api.logs(container, tail=lines)).decode(errors="replace")

    def copy_in(
        self, container: str, files: Mapping[str, tuple[bytes, int]], group: int | None = None
    ) -> None:
        """Put files (path -> content and mode) into a container that has not been started; `PATH/` is a folder."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for path, (content, mode) in files.items():
                entry = tarfile.TarInfo(path.strip("/"))
                entry.size, entry.mode, entry.gid = len(content), mode, group or 0
                if path.endswith("/"):
                    entry.type = tarfile.DIRTYPE
                tar.addfile(entry, io.BytesIO(content))
        with explained("files cannot be copied into the container"):
            self._api.put_archive(container, "/", archive.getvalue())

    def attach(self, container: str, what: str) -> Attached:
        """A container's standard streams, from before its start."""
        params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        with explained(f"{what}: attach"):
            return Attached(self._api.attach_socket(container, params=params))

    def exec_stream(
        self, container: str, argv: Sequence[str], *, user: str, env: Mapping[str, str]
    ) -> Attached:
        """Start a program in a running container and speak to it."""
        with explained(f"container {container[:12]}: {argv[0]}"):
            made = self._api.exec_create(
                container, list(argv), stdin=True, stdout=True, stderr=True, user=user, environment=dict(env)
            )
            return Attached(self._api.exec_start(made["Id"], socket=True))

    def execute(self, container: str, argv: Sequence[str]) -> Completed:
        """Run a program in a running container to its end."""
        with explained(f"container {container[:12]}: {argv[0]}"):
            made = self._api.exec_create(container, list(argv), stdout=True, stderr=True)
            out, err = self._api.exec_start(made["Id"], demux=True)
            code = self._api.exec_inspect(made["Id"])["ExitCode"]
        return Completed(
            returncode=int(code),
            stdout=(out or b"").decode(errors="replace"),
            stderr=(err or b"").decode(errors="replace"),
        )
