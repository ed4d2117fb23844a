"""The edge to the Docker SDK: the few calls that meshtest makes, and its errors in meshtest's words."""

from __future__ import annotations

import contextlib
import io
import socket
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshtest.errors import RuntimeFailure, Unsupported
from meshtest.runtime.base import Completed
from meshtest.runtime.docker import surroundings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_CALL_TIMEOUT = 120
_USUAL_SOCKET = "unix:///var/run/docker.sock"
_CONNECTIONS = 64
_ENDLESS = 1 << 50
CPU_PERIOD = 100_000
"""Microseconds."""
_INSTALL = "the docker runtime needs the packages docker and testcontainers: pip install 'meshtest[docker]'"
_SAYINGS = (
    (
        "permission denied",
        "no permission on the daemon's socket: add this user to the group docker, or run rootless",
    ),
    ("no space left", "the daemon's disk is full: docker system prune, and meshtest doctor --clean"),
    ("port is already allocated", "another program has the port: choose another one, or end that program"),
    ("address already in use", "another program has the port: choose another one, or end that program"),
    ("pull access denied", "the image cannot be pulled: check its name, log in, or build it first"),
    ("no such image", "the image is missing here and was not pulled: check its name, or build it first"),
    ("manifest unknown", "the registry has no such tag: check the image's name"),
    ("cannot connect", "start Docker, or set DOCKER_HOST"),
    ("connection aborted", "Docker has ended, or DOCKER_HOST names something else"),
    ("connection refused", "start Docker, or set DOCKER_HOST"),
    ("no such file or directory", "start Docker, or set DOCKER_HOST"),
    ("client version", "the daemon is too old or too new for the package docker: update either"),
)


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
        raise RuntimeFailure(f"{what}: {said}{_advice(str(exc) + said)}") from exc


def _advice(said: str) -> str:
    found = next((advice for sign, advice in _SAYINGS if sign in said.lower()), "")
    return f"; {found}" if found else ""


def _knock(host: str | None) -> None:
    """Raise OSError where nobody listens on the daemon's socket; the SDK would leave its own half-open behind."""
    path = (host or _USUAL_SOCKET).removeprefix("http+")
    if not path.startswith("unix://"):
        return
    with socket.socket(socket.AF_UNIX) as knocking:
        knocking.connect(path.removeprefix("unix://"))


class Daemon:
    """A Docker daemon; thread-safe."""

    def __init__(self) -> None:
        try:
            import docker  # noqa: PLC0415 - heavy, an extra
            from docker.utils import kwargs_from_env  # noqa: PLC0415 - as above
        except ImportError as exc:
            raise Unsupported(_INSTALL) from exc
        self.host = surroundings.docker_host()
        given: dict[str, Any] = {**kwargs_from_env(), **({"base_url": self.host} if self.host else {})}
        if (self.host or "").startswith("ssh://"):
            given["use_ssh_client"] = True
        with explained("no Docker daemon can be reached"):
            _knock(self.host)
            self._api = docker.APIClient(
                version="auto",
                timeout=_CALL_TIMEOUT,
                max_pool_size=_CONNECTIONS,
                num_pools=4,
                **given,
            )
            self.version = str(self._api.version()["Version"])

    def close(self) -> None:
        """Close the connections to it."""
        self._api.close()

    # -- images ----------------------------------------------------------------------------------------------

    def has_image(self, name: str) -> bool:
        """Whether an image is there."""
        import docker.errors  # noqa: PLC0415 - as above

        with explained(f"image {name}"):
            try:
                self._api.inspect_image(name)
            except docker.errors.ImageNotFound:
                return False
        return True

    def image_config(self, name: str) -> Mapping[str, Any]:
        """An image's own configuration: Entrypoint, Cmd, User, ..."""
        with explained(f"image {name}"):
            return dict(self._api.inspect_image(name).get("Config") or {})

    def pull(self, name: str) -> None:
        """Pull an image."""
        with explained(f"image {name} is not here and cannot be pulled"):
            self._api.pull(name)

    def build(self, context: io.BufferedIOBase, tag: str, labels: Mapping[str, str]) -> None:
        """Build an image from a context as a tar, without network."""
        with explained(f"image {tag} cannot be built"):
            lines = self._api.build(
                fileobj=context,
                custom_context=True,
                tag=tag,
                labels=dict(labels),
                network_mode="none",
                rm=True,
                forcerm=True,
                decode=True,
            )
            said = []
            for line in lines:
                said.append(str(line.get("stream", "")))
                if "error" in line:
                    raise RuntimeFailure(
                        f"image {tag} cannot be built: {line['error']}{_advice(line['error'])}\n{''.join(said)[-2000:]}"
                    )

    def import_image(self, archive: str, name: str, tag: str) -> None:
        """Make an image out of a file system in a tar."""
        with explained(f"image {name} cannot be made"):
            self._api.import_image_from_file(archive, repository=name, tag=tag)

    def images(self, label: str) -> list[list[str]]:
        """The tags of images that carry a label."""
        with explained("images cannot be listed"):
            return [list(one["RepoTags"] or []) for one in self._api.images(filters={"label": label})]

    def remove_image(self, name: str) -> None:
        """Remove an image that no container needs."""
        with explained(f"image {name}"):
            self._api.remove_image(name)

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

    def create(self, spec: ContainerSpec) -> str:
        """Make a container; returns its id."""
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

    def logs(self, container: str, lines: int = 200) -> str:
        """The last lines of a container."""
        with explained(f"container {container[:12]}"):
            return bytes(self._api.logs(container, tail=lines)).decode(errors="replace")

    def copy_in(self, container: str, files: Mapping[str, tuple[bytes, int]]) -> None:
        """Put files (path -> content and mode) into a container that has not been started."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for path, (content, mode) in files.items():
                entry = tarfile.TarInfo(path.lstrip("/"))
                entry.size, entry.mode = len(content), mode
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


class Attached:
    """The SDK's idea of a hijacked connection: a raw socket, wrapped or not, by transport."""

    def __init__(self, found: Any) -> None:
        self._owner = found
        self._socket: Any = getattr(found, "_sock", found)
        with contextlib.suppress(AttributeError, OSError):
            self._socket.settimeout(None)

    def send(self, data: bytes) -> None:
        """Write all of it."""
        self._socket.sendall(data)

    def receive(self, size: int) -> bytes:
        """Read some; empty at the end."""
        return bytes(self._socket.recv(size))

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError, AttributeError):
            self._socket.shutdown(socket.SHUT_RDWR)
        # The SDK hands out a reader of the socket and keeps the response beside it; each holds the socket open.
        holders: tuple[Any, ...] = (self._owner, getattr(self._owner, "_response", None), self._socket)
        for holder in holders:
            with contextlib.suppress(OSError, AttributeError, ValueError):
                holder.close()
