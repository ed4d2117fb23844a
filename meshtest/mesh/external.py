"""Hosts outside the mesh that a scenario declares: names for the resolver, a place and an address for each.

api.example.com ──DNS──► 198.19.0.2, where a stand-in answers     istiod and Kubernetes hear nothing of it
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from itertools import chain
from typing import TYPE_CHECKING

from meshtest.errors import ScenarioError
from meshtest.mesh import addresses
from meshtest.mesh.model import ContainerPort, Pod, PodKind
from meshtest.mesh.outside import ADDRESS, OUTSIDE
from meshtest.mesh.standins import STANDIN, WORKLOAD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from meshtest.mesh.model import MeshModel

NETWORK = "198.19"
"""Where they are unless they say: the other half of what RFC 2544 sets aside, beside the load balancers'."""
CLUSTER_DOMAIN = "cluster.local"
PUBLIC, PRIVATE, SELF_SIGNED, EXPIRED, WRONG_NAME = "public", "private", "selfSigned", "expired", "wrongName"
CERTIFICATES = (PUBLIC, PRIVATE, SELF_SIGNED, EXPIRED, WRONG_NAME)
CA, CLIENT_CERTIFICATE, CLIENT_KEY = "ca", "clientCertificate", "clientKey"
PUBLISHED = (CA, CLIENT_CERTIFICATE, CLIENT_KEY)
SPOKEN = {"HTTP": "http", "HTTP2": "h2c", "GRPC": "grpc", "HTTPS": "https", "TLS": "tls", "TCP": "tcp"}
"""Istio's word for a port's protocol -> the stand-in's."""
_TAKEN = ("10.244.0.0/16", "10.96.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "172.18.0.0/16", f"{ADDRESS}/32")
"""Networks of pods, Services, nodes and of the sandbox itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalPort:
    """A port that such a host listens on."""

    number: int
    protocol: str = "HTTP"
    proxy_protocol: bool = False
    """Whether every connection must begin with the PROXY protocol, version 1 or 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalTls:
    """How it speaks TLS; the words of a Gateway's `tls` mean the same here."""

    mode: str = "SIMPLE"
    """SIMPLE, or MUTUAL: clients must show a certificate."""
    certificate: str = PUBLIC
    """Who vouches for it: an authority that every proxy trusts as the system's, one of its own, or nobody."""
    server_certificate: str = ""
    """PEM of its own instead."""
    private_key: str = field(default="", repr=False)
    ca_certificates: str = ""
    """PEM that clients' certificates are verified by, instead of its own authority."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalHost:
    """A host outside the mesh."""

    ports: tuple[ExternalPort, ...]
    names: tuple[str, ...] = ()
    """Further names; `*.example.com` is every name below it."""
    addresses: tuple[str, ...] = ()
    """A machine for each; none: one at an address of meshtest's choice."""
    tls: ExternalTls = field(default_factory=ExternalTls)
    files: Mapping[str, str] = field(default_factory=dict)
    """What every proxy finds on its disk: path -> `ca`, `clientCertificate` or `clientKey`."""
    secrets: tuple[str, ...] = ()
    """`namespace/name` of Secrets that hold all three."""
    plays: str = WORKLOAD
    """What the stand-in there plays, as the annotation of a pod says it."""
    workload_group: str = ""
    """`namespace/name` of the WorkloadGroup whose machine it is, with a sidecar of its own."""
    workload_entry: str = ""
    """Or of the WorkloadEntry that registers it by hand."""

    @property
    def speaks_tls(self) -> bool:
        """Whether any of its ports does."""
        return any(port.protocol in ("HTTPS", "TLS") for port in self.ports)


def external_pods(
    hosts: Mapping[str, ExternalHost], previous: MeshModel | None = None, *, pod_network: str = ""
) -> list[Pod]:
    """A place per address; raises ScenarioError where one cannot be."""
    if (found := conflict(hosts, pod_network)) is not None:
        raise ScenarioError(
            found.problem, key=f"external.{found.host}.{found.field}".rstrip("."), expected=found.expected
        )
    before = {pod.name: pod.ip for pod in previous.pods if not pod.workload_kind} if previous else {}
    drafts = {
        name if len(host.addresses) < 2 else f"{name}-{index}": (name, host, address)
        for name, host in hosts.items()
        for index, address in enumerate(host.addresses or ("",))
    }
    given = {key: address for key, (_, _, address) in drafts.items() if address}
    assigned = addresses.assign(drafts, NETWORK, given=given, before=before)
    return [_pod(key, name, host, assigned[key]) for key, (name, host, _) in drafts.items()]


def external_zone(hosts: Mapping[str, ExternalHost], pods: Iterable[Pod]) -> dict[str, tuple[str, ...]]:
    """Every name of these hosts -> their addresses."""
    places: dict[str, list[str]] = {}
    for pod in pods:
        places.setdefault(pod.workload, []).append(pod.ip)
    return {name: tuple(places[key]) for key, host in hosts.items() for name in (key, *host.names)}


def _pod(key: str, name: str, host: ExternalHost, address: str) -> Pod:
    return Pod(
        namespace="",
        name=key,
        workload=name,
        workload_kind="",
        ip=address,
        kind=PodKind.PLAIN,
        labels={},
        annotations={} if host.plays == WORKLOAD else {STANDIN: host.plays},
        ports=tuple(ContainerPort(number=port.number, name=port.protocol.lower()) for port in host.ports),
        hostname=key.partition(".")[0].replace("*", "any"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Why a host cannot be as it is declared."""

    host: str
    field: str
    problem: str
    expected: str = ""


def conflict(hosts: Mapping[str, ExternalHost], pod_network: str = "") -> Conflict | None:
    """The first host whose name or address is taken, by another one or by the cluster."""
    return next(chain(_of_names(hosts), _of_addresses(hosts, pod_network)), None)


def _of_names(hosts: Mapping[str, ExternalHost]) -> Iterator[Conflict]:
    owners: dict[str, str] = {}
    for key, host in hosts.items():
        for name in (key, *host.names):
            field_ = "" if name == key else "names"
            if name in owners:
                yield Conflict(host=key, field=field_, problem=f"{name} is a name of {owners[name]} already")
            if name == OUTSIDE or f".{name}".endswith(f".{CLUSTER_DOMAIN}"):
                yield Conflict(
                    host=key,
                    field=field_,
                    problem=f"{name} is no name outside the mesh",
                    expected="a name such as api.example.com",
                )
            owners[name] = key


def _of_addresses(hosts: Mapping[str, ExternalHost], pod_network: str) -> Iterator[Conflict]:
    taken = [IPv4Network(each) for each in (*_TAKEN, *([f"{pod_network}.0.0/16"] if pod_network else []))]
    owners: dict[str, str] = {}
    for key, host in hosts.items():
        for address in host.addresses:
            if address in owners:
                problem = f"{address} is an address of {owners[address]} already"
                yield Conflict(host=key, field="addresses", problem=problem)
            if any(IPv4Address(address) in network for network in taken):
                yield Conflict(
                    host=key,
                    field="addresses",
                    problem=f"{address} lies inside the cluster",
                    expected="one outside of it, such as 192.0.2.10",
                )
            owners[address] = key
