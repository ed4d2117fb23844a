"""The nouns of a mesh: what the manifests say runs in it, as plain values.

Manifest ──► Workload ──► Pod (one per replica, with an address and an identity)
         ──► Service ──► endpoints (pods behind it), a cluster IP, names
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from meshtest.errors import Location
    from meshtest.mesh.authority import PluggedAuthority
    from meshtest.mesh.mounts import Mount
    from meshtest.mesh.probes import Probe
    from meshtest.mesh.variables import Import, Variable
    from meshtest.mesh.volumes import Volume

TRUST_DOMAIN = "cluster.local"
ROOT_NAMESPACE = "istio-system"
TLS_MODE_LABEL = "security.istio.io/tlsMode"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRef:
    """What names a Kubernetes object; `namespace` is empty for cluster-scoped kinds."""

    api_version: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    def to_dict(self) -> dict[str, str]:
        """As the engine wants it."""
        return {
            "apiVersion": self.api_version,
            "kind": self.kind,
            "namespace": self.namespace,
            "name": self.name,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One object as the user wrote it (namespace filled in), and where.

    `lines` maps key paths such as `spec.http[0].route` to line numbers.
    """

    ref: ObjectRef
    body: Mapping[str, Any]
    location: Location
    lines: Mapping[str, int] = field(default_factory=dict, repr=False, compare=False)


LONGEST_HOST_NAME = 63


class PodKind(Enum):
    """What stands in a pod besides its application."""

    SIDECAR = "sidecar"
    """An application behind a sidecar with transparent interception."""
    PLAIN = "plain"
    """An application without sidecar."""
    GATEWAY = "gateway"
    """An Envoy alone, without interception."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerPort:
    """A port that a container declares."""

    number: int
    name: str = ""
    protocol: str = "TCP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """The application container of a workload, as far as it can be run from its manifest."""

    name: str
    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_directory: str = ""
    user: str = ""
    """`uid`, or `uid:gid`; empty: the image's own."""
    group: int | None = None
    """Whom its volumes belong to; None: nobody but root."""
    groups: tuple[int, ...] = ()
    """Further groups that its processes are in."""
    service_links: bool = True
    """Whether it finds Services by variables."""
    variables: tuple[Variable, ...] = ()
    imports: tuple[Import, ...] = ()
    volumes: tuple[Volume, ...] = ()
    resources: Mapping[str, float] = field(default_factory=dict)
    """`limits.cpu`, `requests.memory`, ... -> CPUs or bytes."""
    startup: Probe | None = None
    readiness: Probe | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A replica of a workload: its own address, loopback and identity."""

    namespace: str
    name: str
    workload: str
    workload_kind: str
    ip: str
    kind: PodKind
    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)
    service_account: str = "default"
    ports: tuple[ContainerPort, ...] = ()
    containers: tuple[Container, ...] = ()
    preparing: tuple[Container, ...] = ()
    """Those that run to their end before the others, in turn."""
    hostname: str = ""
    subdomain: str = ""
    locality: str = ""
    """`region/zone/subzone`, from its labels or its node."""
    node: str = ""
    host_network: bool = False
    trust_domain: str = TRUST_DOMAIN
    proxy_config: Mapping[str, Any] = field(default_factory=dict)
    """What of its ProxyConfig its Envoy is started with (`mesh.proxy_config`)."""
    ready: bool = field(default=True, compare=False)
    """Whether its readiness probe succeeds; it is the same pod when that changes."""
    mounts: tuple[Mount, ...] = ()
    """What its proxy finds on its disk."""
    application_mounts: tuple[Mount, ...] = ()
    host_aliases: Mapping[str, str] = field(default_factory=dict)
    """Names in its /etc/hosts -> addresses."""
    proxy_image: str = ""
    """The container image whose Envoy it has; empty: the runtime's own Envoy."""

    @property
    def key(self) -> str:
        """`namespace/name`, unique in the mesh; the name alone of what stands outside the cluster."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def workload_key(self) -> str:
        """`namespace/workload`, or as `key`."""
        return f"{self.namespace}/{self.workload}" if self.namespace else self.workload

    @property
    def host_name(self) -> str:
        """What its kernel calls it, cut as Kubernetes does (pkg/kubelet: truncatePodHostnameIfNeeded)."""
        return (self.hostname or self.name)[:LONGEST_HOST_NAME].rstrip("-.")

    @property
    def identity(self) -> str:
        """The SPIFFE identity that Istio gives its service account."""
        return f"spiffe://{self.trust_domain}/ns/{self.namespace}/sa/{self.service_account}"

    @property
    def has_envoy(self) -> bool:
        """Whether an Envoy stands in this pod."""
        return self.kind is not PodKind.PLAIN

    def goes_on(self, before: Pod | None) -> bool:
        """Whether it is a pod that ran before: one of its own keeps running when its labels are others."""
        if before is None or self == before:
            return self == before
        relabelled = replace(before, labels=self.labels, locality=self.locality)
        return self.workload_kind == "Pod" and self == relabelled

    @property
    def node_id(self) -> str:
        """The id its Envoy shows to the control plane (istio/istio: pilot/pkg/model/context.go)."""
        role = "router" if self.kind is PodKind.GATEWAY else "sidecar"
        return f"{role}~{self.ip}~{self.name}.{self.namespace}~{self.namespace}.svc.cluster.local"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePort:
    """A port of a Service; `target` is a number or the name of a container port."""

    number: int
    name: str = ""
    target: int | str = 0
    protocol: str = "TCP"
    app_protocol: str = ""
    node_port: int = 0
    """Where every node takes connections for it; 0: nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A Kubernetes Service; `cluster_ip` is empty for headless ones and ExternalName."""

    namespace: str
    name: str
    ports: tuple[ServicePort, ...]
    selector: Mapping[str, str] = field(default_factory=dict)
    cluster_ip: str = ""
    headless: bool = False
    external_name: str = ""
    publish_not_ready: bool = False
    kind: str = "ClusterIP"
    """Its `type`."""
    load_balancer: str = ""
    """The address that a load balancer outside the cluster has for it."""
    external_ips: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"

    @property
    def host(self) -> str:
        """Its full name."""
        return f"{self.name}.{self.namespace}.svc.cluster.local"

    @property
    def external_addresses(self) -> tuple[str, ...]:
        """Where callers outside the cluster reach it."""
        return (self.load_balancer, *self.external_ips) if self.load_balancer else self.external_ips

    def selects(self, pod: Pod) -> bool:
        """Whether a pod is behind it; a Service without selector selects none."""
        wanted = self.selector.items()
        return bool(wanted) and pod.namespace == self.namespace and wanted <= pod.labels.items()


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """Where kube-proxy sends a connection to a Service's port."""

    ip: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshModel:
    """A whole mesh as its manifests describe it; built by `meshtest.mesh.build.build_model`."""

    manifests: Sequence[Manifest]
    pods: Sequence[Pod]
    services: Sequence[Service]
    objects: Sequence[Mapping[str, Any]] = field(repr=False)
    """What the API server would hold: the manifests with the pods, slices and addresses made from them."""
    cluster_ips: Mapping[str, Mapping[int, Sequence[Backend]]] = field(repr=False)
    """Cluster IP, or another address that kube-proxy answers -> port -> backends."""
    zone: Mapping[str, Sequence[str]] = field(repr=False)
    """Full name, lower case, without final dot -> IPv4 addresses, or `("CNAME name",)`."""
    passed_over: Sequence[Manifest] = ()
    """Kinds that mean nothing to a mesh."""
    unsupported: Sequence[Manifest] = ()
    """Kinds that nothing acts on and that were allowed nevertheless."""
    trust_domain: str = TRUST_DOMAIN
    root_namespace: str = ROOT_NAMESPACE
    created: Mapping[tuple[str, str, str, str], int] = field(default_factory=dict, repr=False)
    """When each object was first applied, counted up; by group, kind, namespace and name."""
    authority: PluggedAuthority | None = None
    """What signs for the workloads; None: an authority made for this mesh alone."""
    own_root: Callable[[], str] = field(default=str, repr=False, compare=False)
    """The certificate of the authority that is made for this mesh; PEM."""
    further_roots: str = field(default="", repr=False)
    """Certificates that proxies trust besides that of the mesh if their agents ask for them; PEM."""
    basis: object = field(default=None, repr=False, compare=False)
    """What decided about it besides its manifests."""

    @property
    def root(self) -> str:
        """Whom the workloads trust; PEM."""
        return self.authority.root if self.authority else self.own_root()

    def pod(self, key: str) -> Pod | None:
        """The pod `namespace/name`."""
        return next((pod for pod in self.pods if pod.key == key), None)

    def service(self, key: str) -> Service | None:
        """The Service `namespace/name`."""
        return next((service for service in self.services if service.key == key), None)

    def pods_of(self, workload: str) -> list[Pod]:
        """The pods of the workload `namespace/name`."""
        return [pod for pod in self.pods if pod.workload_key == workload]

    def pods_behind(self, service: Service) -> list[Pod]:
        """The pods that a Service selects."""
        return [pod for pod in self.pods if service.selects(pod)]
