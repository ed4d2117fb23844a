"""From a mesh model to the plan of a sandbox: which process stands in which pod, with which configuration. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from operator import is_
from typing import TYPE_CHECKING, Any, TypeVar

from meshtest.envoy.bootstrap import SOCKET_MARK, bootstrap
from meshtest.errors import ScenarioError, Unsupported, nearest
from meshtest.live.applications import image_of, lookup, of_pod, probes_of, spec_of
from meshtest.live.roles import CONTROL_PLANE, DRIVER, STANDIN
from meshtest.mesh import standins
from meshtest.mesh.addresses import RESOLVER
from meshtest.mesh.environment import environment_of
from meshtest.mesh.injection import interception
from meshtest.mesh.model import PodKind
from meshtest.mesh.mounts import server_certificate
from meshtest.mesh.ports import standin_ports
from meshtest.mesh.volumes import disk_of
from meshtest.runtime.base import Command, Image, Interception, NetworkPlan, PodPlan, Role, SandboxPlan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meshtest.live.applications import Applications
    from meshtest.mesh.model import MeshModel, Pod, Service
    from meshtest.mesh.probes import Probe
    from meshtest.scenario.images import ImageSpec

    Agents = Mapping[str, Mapping[str, Sequence[str]]]
    Probes = tuple[Probe | None, Probe | None]

T = TypeVar("T")

DIRECTORY = "/run/meshtest"
_INSIDE = {"http": "http", "auto": "http", "websocket": "http", "h2c": "h2c", "grpc": "h2c"}
"""What to speak to a stand-in inside its pod, by what it speaks on a port."""

_SAYING_PORTS = frozenset(("Service", "ServiceEntry", "Sidecar"))
"""Kinds that say on which ports applications are called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a runtime has Envoys know of it."""

    socket_mark: int | None = SOCKET_MARK
    resolver: str = RESOLVER


def sandbox_plan(
    model: MeshModel,
    applications: Applications,
    envoy: str,
    authority: str = "",
    *,
    around: Surroundings | None = None,
) -> SandboxPlan:
    """Everything that is started together for a mesh.

    `authority` is what the mesh's certificate authority is derived from: a control plane that is started anew has
    the same root. Empty: another one at each start.
    """
    around = around or Surroundings()
    config = {"directory": DIRECTORY, "seed": authority, "resolver": around.resolver}
    return SandboxPlan(
        pods=[pod_plan(model, pod, applications, around) for pod in model.pods],
        network=network_plan(model),
        control_plane=Role(target=CONTROL_PLANE, config=config),
        driver=Role(target=DRIVER, config={"directory": DIRECTORY, "namespaces": f"{DIRECTORY}/netns"}),
        envoy=envoy,
    )


def network_plan(model: MeshModel, agents: Agents | None = None) -> NetworkPlan:
    """The cluster's network as the model has it, with the names that agents answer (by the id of their proxy)."""
    named = {pod.ip: names for pod in model.pods if agents and (names := agents.get(pod.node_id))}
    return NetworkPlan(cluster_ips=model.cluster_ips, zone=model.zone, agents=named)


def pod_plan(
    model: MeshModel, pod: Pod, applications: Applications, around: Surroundings | None = None
) -> PodPlan:
    """One pod and its processes."""
    around = around or Surroundings()
    ports = standin_ports(model, pod)
    application: Role | Command | Image | None
    argv = lookup(applications.commands, model, pod)
    image = spec_of(applications, model, pod)
    if pod.kind is PodKind.GATEWAY:
        application = None
    elif argv is not None:
        application = Command(
            argv=tuple(argv), env=environment_of(model, pod), disk=disk_of(model, pod, storage=False)
        )
    elif image is not None:
        application = image_of(model, pod, image)
    else:
        application = Role(target=STANDIN, config=_standin(model, pod, ports, applications))
    return PodPlan(
        pod=pod,
        application=application,
        bootstrap=_bootstrap(pod, around) if pod.has_envoy else None,
        interception=_interception(pod, around),
        readiness_ports=_readiness_ports(pod, application, image, ports),
        env=_environment(pod),
        hosts=pod.host_aliases,
        proxy_image=pod.proxy_image,
    )


def _bootstrap(pod: Pod, around: Surroundings) -> str:
    return bootstrap(pod, directory=DIRECTORY, socket_mark=around.socket_mark, resolver=around.resolver)


def _readiness_ports(
    pod: Pod,
    application: Role | Command | Image | None,
    image: ImageSpec | None,
    ports: Sequence[tuple[int, str]],
) -> tuple[int, ...]:
    if isinstance(application, Image) and image is not None and image.ready_ports is not None:
        return image.ready_ports
    if any(probes_of(pod, image)):
        return ()
    return () if application is None or isinstance(application, Role) else tuple(port for port, _ in ports)


def _environment(pod: Pod) -> dict[str, str]:
    """As the downward API gives it to Istio's own test applications."""
    return {
        "INSTANCE_IP": pod.ip,
        "POD_IP": pod.ip,
        "POD_NAME": pod.name,
        "POD_NAMESPACE": pod.namespace,
        "NAMESPACE": pod.namespace,
        "SERVICE_ACCOUNT": pod.service_account,
        "HOSTNAME": pod.host_name,
    }


def _interception(pod: Pod, around: Surroundings) -> Interception | None:
    rules = interception(pod)
    if rules is None:
        return None
    if rules.transparent and around.socket_mark is None:
        raise Unsupported(
            f"{pod.key}: interceptionMode TPROXY needs a sidecar that may change its network, which this runtime does "
            "not give it; use --mesh-runtime=netns, or REDIRECT"
        )
    return Interception(
        exclude_inbound_ports=rules.exclude_inbound_ports,
        include_inbound_ports=rules.include_inbound_ports,
        exclude_outbound_ports=rules.exclude_outbound_ports,
        include_outbound_ports=rules.include_outbound_ports,
        exclude_outbound_ranges=rules.exclude_outbound_ranges,
        include_outbound_ranges=rules.include_outbound_ranges,
        transparent=rules.transparent,
    )


def _standin(
    model: MeshModel, pod: Pod, ports: Sequence[tuple[int, str]], applications: Applications
) -> dict[str, Any]:
    called = lookup(applications.calls, model, pod) or ()
    part = standins.plays(pod)
    outside = pod.workload in applications.external.hosts and not pod.workload_kind
    shown = server_certificate(model, pod)
    listened: Sequence[Mapping[str, Any]] = (
        applications.external.ports(pod.workload)
        if outside
        else [{"port": port, "protocol": protocol, **shown} for port, protocol in ports]
    )
    return {
        "plays": part,
        "keySet": applications.key_set() if part == standins.KEY_SET else "",
        "allowServiceAccounts": standins.allowed_accounts(pod),
        "workload": pod.workload,
        "namespace": pod.namespace,
        "pod": pod.name,
        "ip": pod.ip,
        "identity": pod.identity if pod.namespace else "",
        "ports": listened,
        "calls": [{"url": call_url(model, pod.namespace, name)} for name in called],
    }


def outgrown(old: MeshModel, new: MeshModel, applications: Applications) -> Iterator[str]:
    """Pods whose stand-in runs, but does not listen on ports that are called now: it has to start again."""
    if not _say_ports_alike(old, new):
        before = {pod.key: pod for pod in old.pods}
        for pod in new.pods:
            known = before.get(pod.key)
            if known is not None and pod.kind is not PodKind.GATEWAY and not of_pod(applications, new, pod):
                listened, called = (dict(standin_ports(*each)) for each in ((old, known), (new, pod)))
                if called.keys() - listened.keys():
                    yield pod.key


def _say_ports_alike(old: MeshModel, new: MeshModel) -> bool:
    """Whether all that says on which ports applications are called is as it was."""
    theirs, ours = (
        [each for each in model.manifests if each.ref.kind in _SAYING_PORTS] for model in (old, new)
    )
    return len(theirs) == len(ours) and all(map(is_, theirs, ours))


def inside_url(model: MeshModel, pod: Pod) -> str:
    """Where a pod's stand-in answers HTTP to those inside."""
    for port, spoken in standin_ports(model, pod):
        if spoken in _INSIDE:
            return f"{_INSIDE[spoken]}://127.0.0.1:{port}"
    raise ScenarioError(
        f"no stand-in of {pod.key} answers HTTP",
        expected="a workload with a port for HTTP, that runs no program of yours",
    )


def call_url(model: MeshModel, namespace: str, name: str) -> str:
    """The URL that an entry of `calls` means: itself, or the first port of the service it names."""
    if "://" in name:
        return name
    service = find_service(model, namespace, name)
    if service is None:
        known = sorted(service.name for service in model.services)
        raise ScenarioError(
            f"no service {name!r} in the mesh",
            key="calls",
            expected="the name of a Service or a URL",
            nearest=nearest(name, known),
        )
    host = service.name if service.namespace == namespace else f"{service.name}.{service.namespace}"
    return f"http://{host}:{service.ports[0].number if service.ports else 80}/"


def find_service(model: MeshModel, namespace: str, name: str) -> Service | None:
    """The Service `name` or `name.namespace`; the caller's own namespace wins."""
    plain, _, other = name.partition(".")
    wanted = other.partition(".")[0] or namespace
    found = [service for service in model.services if service.name == plain]
    return next(
        (service for service in found if service.namespace == wanted),
        found[0] if found and not other else None,
    )
