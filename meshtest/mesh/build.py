"""Manifests become a mesh model: pods, Services, endpoints, addresses, names and the API server's objects.

    manifests ──► kinds.sort ──► pods + services ──► addresses ──► endpoints ──► network (zone, cluster IPs)
                                                                             └──► objects, stamped in order

Pure: the same manifests, and the same model before, give the same model.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from meshtest.errors import ManifestError
from meshtest.mesh import addresses, network, objects
from meshtest.mesh.authority import further_roots, plugged_authority
from meshtest.mesh.endpoints import mirrored, slices_of
from meshtest.mesh.external import external_zone
from meshtest.mesh.fields import fields_of
from meshtest.mesh.gateway_api import check_classes
from meshtest.mesh.gateways import usual_gateways
from meshtest.mesh.kinds import RBAC, group_of, sort
from meshtest.mesh.machines import external_places
from meshtest.mesh.manifests import unique
from meshtest.mesh.mesh_config import MeshSettings
from meshtest.mesh.model import MeshModel
from meshtest.mesh.places import locate
from meshtest.mesh.pod_annotations import at_annotation, check_annotations, check_unacted
from meshtest.mesh.pods import Surroundings, is_workload, pods_of
from meshtest.mesh.proxies import engine_proxies
from meshtest.mesh.proxy_config import proxy_config
from meshtest.mesh.revise import revision
from meshtest.mesh.service_addresses import services_of
from meshtest.mesh.slices import check_slice
from meshtest.mesh.topology import nodes_of
from meshtest.mesh.unsupported import Abilities, check_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from meshtest.mesh.external import ExternalHost
    from meshtest.mesh.kinds import Sorted
    from meshtest.mesh.model import Manifest, Pod, Service
    from meshtest.mesh.topology import Node


_KEPT_FROM_ISTIOD = frozenset(("Namespace", "Node", "Endpoints"))
"""Kinds that it is told of otherwise; who may do what it asks about, and is answered."""
__all__ = ["BuildOptions", "build_model", "engine_proxies", "locate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """What decides about a mesh besides its manifests."""

    settings: MeshSettings = field(default_factory=MeshSettings)
    """Of MeshConfig."""
    allow_unsupported: bool = False
    placement: Mapping[str, str] = field(default_factory=dict)
    """Pod or workload, as `namespace/name` -> node."""
    usual_gateways: bool = True
    """Whether the gateways of a usual installation run where a Gateway selects them."""
    pod_network: str = addresses.POD_NETWORK
    """The first two numbers of the pods' addresses."""
    external: Mapping[str, ExternalHost] = field(default_factory=dict)
    """Hosts outside the mesh, by name."""
    not_ready: Collection[str] = ()
    """Pods that fail their readiness probe, as `namespace/name`."""
    proxies: Mapping[str, str] = field(default_factory=dict)
    """Workload, `namespace/workload` or `*` -> the image whose Envoy its pods have."""
    switches: Mapping[str, str] = field(default_factory=dict)
    """Of istiod (`PILOT_...`)."""
    own_root: Callable[[], str] = str
    """The certificate of the authority that is made for the mesh; PEM."""


def build_model(
    manifests: Iterable[Manifest],
    *,
    made: Iterable[Manifest] = (),
    previous: MeshModel | None = None,
    options: BuildOptions | None = None,
) -> MeshModel:
    """The mesh that manifests describe; what was in `previous` keeps its address and creation time.

    `made` is what controllers of the cluster add to the manifests (`meshtest.istiod.deployments`).

    Raises ManifestError, with file and line, for what a cluster would refuse or could not run.
    """
    options = options or BuildOptions()
    every, more = list(manifests), list(made)
    basis = options, more
    if previous is not None and previous.basis == basis and (found := revision(previous, every)):
        _judged(found.changed, options)
        return found.of(previous, every)
    unique(every)
    kinds = _judged(every, options)
    options.settings.check(allow_unsupported=options.allow_unsupported)
    acted_on = [*kinds.acted_on, *more]
    nodes = {node.name: node for node in nodes_of(acted_on)}
    around = _surroundings(acted_on, nodes, options)
    pods, added = _pods(acted_on, around, previous, options)
    acted_on += added
    services = services_of(acted_on, previous)
    slices = _slices(acted_on, services, pods, nodes)
    external, entries = external_places(options.external, acted_on, previous, pod_network=options.pod_network)
    cluster = _cluster(acted_on, pods, nodes, options)
    held, created = objects.stamp(
        [*cluster, *_objects(acted_on, services, pods, nodes), *slices, *entries],
        previous.created if previous else {},
    )
    behind = network.by_service(body for body in held if body["kind"] == "EndpointSlice")
    return MeshModel(
        manifests=every,
        pods=[*pods, *external],
        services=list(services.values()),
        objects=held,
        cluster_ips=network.cluster_ips(services.values(), behind, [node.ip for node in nodes.values()]),
        zone={**network.zone(services.values(), behind), **external_zone(options.external, external)},
        passed_over=kinds.passed_over,
        unsupported=kinds.unsupported,
        root_namespace=options.settings.root_namespace,
        created=created,
        basis=basis,
        **_trust(acted_on, options),
    )


def _trust(acted_on: Sequence[Manifest], options: BuildOptions) -> dict[str, Any]:
    """Who signs for the mesh, and whom it trusts besides."""
    return {
        "trust_domain": options.settings.trust_domain,
        "own_root": options.own_root,
        "authority": plugged_authority(acted_on, options.switches),
        "further_roots": further_roots(options.settings.further_roots, options.switches),
    }


def _pods(
    acted_on: Sequence[Manifest], around: Surroundings, previous: MeshModel | None, options: BuildOptions
) -> tuple[list[Pod], Sequence[Manifest]]:
    """The pods of the manifests and of the usual gateways; and the manifests of the latter."""
    drafts = _drafts(acted_on, around)
    for pod, manifest in () if options.allow_unsupported else drafts.values():
        check_unacted(pod, manifest)
    added: Sequence[Manifest] = ()
    if options.usual_gateways:
        added = usual_gateways(acted_on, [pod for pod, _ in drafts.values()], options.settings.root_namespace)
        drafts |= _drafts(added, around)
    configs = _proxy_configs(drafts, options.settings, _of_kind(acted_on, "ProxyConfig"))
    pods = [
        replace(pod, proxy_config=configs.get(pod.key, {}), proxy_image=_proxy_image(pod, options.proxies))
        for pod in _addressed(drafts, previous, options.pod_network)
    ]
    return pods, added


def _judged(manifests: Sequence[Manifest], options: BuildOptions) -> Sorted:
    """The manifests by what becomes of them; raises ManifestError for what cannot be."""
    kinds = sort(manifests, allow_unsupported=options.allow_unsupported)
    if not options.allow_unsupported:
        check_classes(kinds.acted_on)
        check_parts(kinds.acted_on, Abilities(own_envoy=bool(options.proxies), switches=options.switches))
    return kinds


def _of_kind(manifests: Iterable[Manifest], kind: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest.ref.kind == kind]


def _surroundings(
    manifests: Sequence[Manifest], nodes: Mapping[str, Node], options: BuildOptions
) -> Surroundings:
    return Surroundings(
        namespaces={
            manifest.ref.name: fields_of(manifest).mapping("metadata").texts("labels")
            for manifest in _of_kind(manifests, "Namespace")
        },
        nodes=list(nodes.values()),
        placement=options.placement,
        not_ready=options.not_ready,
        trust_domain=options.settings.trust_domain,
        root_namespace=options.settings.root_namespace,
    )


def _drafts(manifests: Sequence[Manifest], around: Surroundings) -> dict[str, tuple[Pod, Manifest]]:
    made: dict[str, tuple[Pod, Manifest]] = {}
    workloads: dict[str, Manifest] = {}
    for manifest in filter(is_workload, manifests):
        first = workloads.setdefault(f"{manifest.ref.namespace}/{manifest.ref.name}", manifest)
        if first is not manifest:
            problem = f"{manifest.ref} has the name of the {first.ref.kind} at {first.location}"
            raise ManifestError(problem, location=manifest.location, key="metadata.name")
        for pod in pods_of(manifest, around):
            if pod.key in made:
                other = made[pod.key][1]
                problem = f"its pod {pod.key} is also made by {other.ref} at {other.location}"
                raise ManifestError(problem, location=manifest.location, key="metadata.name")
            check_annotations(pod, manifest)
            made[pod.key] = pod, manifest
    return made


def _proxy_configs(
    made: Mapping[str, tuple[Pod, Manifest]], settings: MeshSettings, resources: Sequence[Manifest]
) -> dict[str, dict[str, Any]]:
    """What the Envoy of each pod is started with."""
    found = {}
    for key, (pod, manifest) in made.items():
        with at_annotation(manifest):
            if pod.has_envoy:
                found[key] = proxy_config(pod, settings.proxy, resources, settings.root_namespace)
    return found


def _addressed(
    drafts: Mapping[str, tuple[Pod, Manifest]], previous: MeshModel | None, pod_network: str
) -> list[Pod]:
    met = previous.pods if previous else ()
    before = {pod.key if _stays(pod, drafts) else f"{pod.key} before": pod.ip for pod in met}
    given = addresses.assign(drafts, pod_network, before=before)
    return [replace(pod, ip=given[key]) for key, (pod, _) in drafts.items()]


def _stays(pod: Pod, drafts: Mapping[str, tuple[Pod, Manifest]]) -> bool:
    """Whether a pod may keep its address: istiod reads who a pod is, and where, but once for every address."""
    draft, _ = drafts.get(pod.key, (pod, None))
    return (draft.service_account, draft.node) == (pod.service_account, pod.node)


def _proxy_image(pod: Pod, proxies: Mapping[str, str]) -> str:
    keys = (pod.workload_key, pod.workload, "*") if pod.has_envoy else ()
    return next((proxies[key] for key in keys if key in proxies), "")


def _slices(
    manifests: Sequence[Manifest],
    services: Mapping[str, Service],
    pods: Sequence[Pod],
    nodes: Mapping[str, Node],
) -> list[dict[str, Any]]:
    found = [one for service in services.values() for one in slices_of(service, pods, nodes)]
    for manifest in _of_kind(manifests, "Endpoints"):
        service = services.get(f"{manifest.ref.namespace}/{manifest.ref.name}")
        if service and not service.selector:
            found += mirrored(manifest, service)
    return found


def _cluster(
    manifests: Sequence[Manifest], pods: Sequence[Pod], nodes: Mapping[str, Node], options: BuildOptions
) -> list[dict[str, Any]]:
    """Namespaces, service accounts and nodes: what is there before anything else, given or not."""
    given = {objects.identity_of(one.body): one.body for one in manifests}
    used = {one.ref.namespace: None for one in manifests if one.ref.namespace}
    written = [one.ref.name for one in _of_kind(manifests, "Namespace")]
    namespaces = dict.fromkeys([options.settings.root_namespace, "default", *written, *used])
    accounts = dict.fromkeys(
        [(name, "default") for name in namespaces] + [(pod.namespace, pod.service_account) for pod in pods]
    )
    return [
        *(objects.namespace_object(name, given.get(("", "Namespace", "", name))) for name in namespaces),
        *(
            objects.service_account(*account)
            for account in accounts
            if ("", "ServiceAccount", *account) not in given
        ),
        *(objects.node_object(node, given.get(("", "Node", "", node.name))) for node in nodes.values()),
    ]


def _objects(
    manifests: Sequence[Manifest],
    services: Mapping[str, Service],
    pods: Sequence[Pod],
    nodes: Mapping[str, Node],
) -> list[Mapping[str, Any]]:
    """The manifests in their order, workloads as their pods."""
    by_workload: dict[str, list[Pod]] = {}
    for pod in pods:
        by_workload.setdefault(pod.workload_key, []).append(pod)
    found: list[Mapping[str, Any]] = []
    for manifest in manifests:
        key, kind = f"{manifest.ref.namespace}/{manifest.ref.name}", manifest.ref.kind
        if is_workload(manifest):
            found += [objects.pod_object(pod, nodes.get(pod.node)) for pod in by_workload.get(key, ())]
        elif kind == "Service":
            found.append(objects.service_object(manifest.body, services[key]))
        elif kind == "Secret":
            found.append(objects.secret_object(manifest))
        elif kind == "EndpointSlice":
            found.append(check_slice(manifest))
        elif kind not in _KEPT_FROM_ISTIOD and group_of(manifest.ref.api_version) != RBAC:
            found.append(manifest.body)
    return found
