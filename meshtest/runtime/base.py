"""What a runtime is: a place where pods run.

A `Runtime` starts a `Sandbox` from a plan and returns at once; everything in it comes up in parallel and
`ready` waits for it. What a runtime cannot do is missing from its `capabilities`, never silently skipped; what not
every runtime or sandbox can be asked is in `abilities`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from meshtest.mesh.disk import Disk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from meshtest.mesh.model import Backend, Pod
    from meshtest.wire import Asking, Channel, Frame


class Capability(Enum):
    """What not every runtime, or not every machine, can do."""

    IMAGES = "images"
    PACKET_LOSS = "packet loss"
    NETEM = "netem"
    RESOURCE_LIMITS = "resource limits"
    PAUSE = "pause"


class Part(Enum):
    """The two halves of a pod."""

    APPLICATION = "application"
    SIDECAR = "sidecar"


class Action(Enum):
    """What can be done to a process of a pod."""

    KILL = "kill"
    STOP = "stop"
    PAUSE = "pause"
    RESUME = "resume"
    START = "start"
    """Start it again after kill or stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A process of meshtest's own: `package.module:function`, called as `function(config, sock)`."""

    target: str
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program of this machine as the application of a pod."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    disk: Disk = field(default_factory=Disk)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A container image as the application of a pod (Capability.IMAGES)."""

    reference: str
    command: tuple[str, ...] | None = None
    """Replaces its entry point."""
    args: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    working_directory: str = ""
    """Empty: the image's own."""
    user: str = ""
    """`uid` or `uid:gid`; empty: the image's own."""
    groups: tuple[int, ...] = ()
    """Further groups of its processes."""
    disk: Disk = field(default_factory=Disk)
    cpus: float | None = None
    memory: int | None = None
    """Bytes."""
    before: Mapping[str, Image] = field(default_factory=dict)
    """Init containers, by name: each runs to its end before the next one, and all of them before this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interception:
    """Which connections of a pod go through its sidecar (istio/istio: tools/istio-iptables)."""

    exclude_inbound_ports: tuple[int, ...] = (15008, 15020, 15021, 15090)
    include_inbound_ports: tuple[int, ...] | None = None
    """None: all."""
    exclude_outbound_ports: tuple[int, ...] = ()
    include_outbound_ports: tuple[int, ...] = ()
    """Ports redirected even where the address range would not be."""
    exclude_outbound_ranges: tuple[str, ...] = ()
    include_outbound_ranges: tuple[str, ...] | None = None
    """None: all."""
    transparent: bool = False
    """TPROXY: the application sees the address of who calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodPlan:
    """A pod and what runs in it."""

    pod: Pod
    application: Role | Command | Image | None
    bootstrap: str | None
    """Envoy's bootstrap as JSON; None without sidecar."""
    interception: Interception | None
    """None: no redirect rules (no sidecar, or a gateway)."""
    readiness_ports: tuple[int, ...] = ()
    """A `Command` or `Image` is ready when these listen, or one does and the others had a second; a `Role` says so."""
    env: Mapping[str, str] = field(default_factory=dict)
    hosts: Mapping[str, str] = field(default_factory=dict)
    """Extra lines of /etc/hosts: name -> address."""
    proxy_image: str = ""
    """The image whose Envoy runs (Capability.IMAGES); empty: the runtime's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPlan:
    """What the cluster's network gives: cluster IPs and names."""

    cluster_ips: Mapping[str, Mapping[int, Sequence[Backend]]]
    zone: Mapping[str, Sequence[str]]
    agents: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    """Address of a pod that captures DNS -> what its agent answers before anybody is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxPlan:
    """Everything that is started together."""

    pods: Sequence[PodPlan]
    network: NetworkPlan
    control_plane: Role
    driver: Role
    envoy: str
    """Path of the Envoy binary."""
    concurrency: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A command that ran to its end inside a pod."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """Packets that do not arrive, by pod addresses; an empty one is anybody."""

    source: str = ""
    destination: str = ""
    share: float = 1.0
    """Of the packets, more than 0 and at most 1; which ones is up to chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NameFault:
    """What the cluster's resolver answers instead of the truth."""

    names: tuple[str, ...]
    """Full names in lower case, each with everything below it."""
    sources: tuple[str, ...] = ()
    """Addresses of the pods that are answered so; empty: everybody."""
    code: str = ""
    """`NXDOMAIN` or `SERVFAIL`."""
    addresses: tuple[str, ...] = ()
    delay: float = 0.0
    """Seconds before the answer goes out."""


class Sandbox(Protocol):
    """A running set of pods with their network; closing it ends every process in it."""

    control_plane: Channel

    @property
    def driver(self) -> Asking:
        """Who sends the pods' requests."""

    def ready(self, timeout: float) -> None:
        """Wait until every process runs and every application is ready, or raise RuntimeFailure."""

    def add_pods(self, pods: Sequence[PodPlan], timeout: float) -> None:
        """Start more pods and wait until they are ready."""

    def remove_pods(self, keys: Sequence[str]) -> None:
        """End pods and their network."""

    def set_network(self, network: NetworkPlan) -> None:
        """Replace cluster IPs and names."""

    def signal(self, pod: str, part: Part, action: Action) -> None:
        """Kill, stop, pause, resume or start again one half of a pod."""

    def execute(self, pod: str, argv: Sequence[str], *, timeout: float) -> Completed:
        """Run a program inside a pod's namespaces to its end."""

    def logs(self, pod: str, part: Part) -> str:
        """The last lines that a half of a pod wrote."""

    def close(self) -> None:
        """End everything; idempotent."""


class Runtime(Protocol):
    """A way to run pods on this machine."""

    name: str
    socket_mark: int | None
    """What Envoy has to put on its sockets for the redirect rules to know them; None where its uid tells."""

    @property
    def resolver(self) -> str:
        """Where Envoys ask for names, before any rule of a pod holds."""

    brings_envoy: bool
    """Whether it runs an Envoy of its own and not the one of `SandboxPlan`."""

    def capabilities(self) -> frozenset[Capability]:
        """What it can do here, probed."""

    def missing(self) -> str | None:
        """Why it cannot run here and what to change; None if it can."""

    def start(
        self,
        plan: SandboxPlan,
        on_access: Callable[[str, bytes], None],
        on_event: Callable[[str, Frame], None] | None = None,
    ) -> Sandbox:
        """Start everything and return at once; `on_access(pod key, bytes)` receives access logs."""
