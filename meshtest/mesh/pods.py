"""Workloads become pods, named and labelled as Kubernetes and the injector do.

Deployment, ReplicaSet, StatefulSet, DaemonSet, Pod ──► template ──► Pod per replica (its address comes later)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshtest.mesh import names
from meshtest.mesh.addresses import is_ipv4
from meshtest.mesh.containers import container_ports, containers_of, preparing_of
from meshtest.mesh.fields import Fields, fields_of
from meshtest.mesh.injection import AMBIENT, Candidate, injected_labels, is_ambient, pod_kind
from meshtest.mesh.known_fields import check_workload
from meshtest.mesh.model import ROOT_NAMESPACE, TRUST_DOMAIN, Pod, PodKind
from meshtest.mesh.mounts import application_mounts, mounts_of
from meshtest.mesh.selectors import label_selector_matches
from meshtest.mesh.topology import Node, locality_of, schedule

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from meshtest.mesh.model import Manifest

WORKLOAD_KINDS = frozenset(("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Pod"))
READY = "meshtest.dev/ready"
"""An annotation of pods: with `"false"` they are as if their readiness probe failed."""
ORDINAL_LABEL, POD_NAME_LABEL = "apps.kubernetes.io/pod-index", "statefulset.kubernetes.io/pod-name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What decides about a pod besides its own manifest."""

    namespaces: Mapping[str, Mapping[str, str]]
    """Name -> labels."""
    nodes: Sequence[Node]
    placement: Mapping[str, str] = field(default_factory=dict)
    """Pod or workload, as `namespace/name` -> node."""
    not_ready: Collection[str] = ()
    """Pods that fail their readiness probe, as `namespace/name`."""
    trust_domain: str = TRUST_DOMAIN
    root_namespace: str = ROOT_NAMESPACE


def is_workload(manifest: Manifest) -> bool:
    """Whether a manifest makes pods."""
    return manifest.ref.kind in WORKLOAD_KINDS


def pods_of(manifest: Manifest, around: Surroundings) -> list[Pod]:
    """The pods that a workload makes, without addresses."""
    check_workload(manifest)
    top = fields_of(manifest)
    if manifest.ref.kind == "Pod":
        return [_pod(manifest, top, around, name=manifest.ref.name, index=0)]
    spec = top.mapping("spec")
    template = spec.mapping("template")
    _check_selector(spec, template)
    return [
        _pod(manifest, template, around, name=f"{manifest.ref.name}-{ordinal}", index=index)
        for index, ordinal in enumerate(_ordinals(manifest, spec, around))
    ]


def _ordinals(manifest: Manifest, spec: Fields, around: Surroundings) -> range:
    if manifest.ref.kind == "DaemonSet":
        selector = spec.mapping("template").mapping("spec").texts("nodeSelector")
        return range(sum(schedule([node], selector, 0) is not None for node in around.nodes))
    replicas = spec.whole("replicas", 1)
    if replicas < 0:
        raise spec.error("replicas", f"{replicas} replicas", expected="0 or more")
    start = spec.mapping("ordinals").whole("start", 0) if manifest.ref.kind == "StatefulSet" else 0
    return range(start, start + replicas)


def _check_selector(spec: Fields, template: Fields) -> None:
    selector = spec.mapping("selector")
    if not selector.value:
        raise spec.error("selector", "missing", expected="matchLabels that fit the template's labels")
    if not label_selector_matches(selector, template.mapping("metadata").texts("labels")):
        raise spec.error("selector", "does not match the labels of the template")


def _pod(manifest: Manifest, template: Fields, around: Surroundings, *, name: str, index: int) -> Pod:
    ref, spec = manifest.ref, template.mapping("spec")
    candidate = _candidate(manifest, template, around)
    kind = pod_kind(candidate)
    labels = injected_labels(kind, {**candidate.labels, **_set_labels(manifest, name)}, ref.name)
    key = f"{ref.namespace}/{name}"
    node = _node(spec, around, key, f"{ref.namespace}/{ref.name}", index)
    stateful = ref.kind == "StatefulSet"
    return Pod(
        namespace=ref.namespace,
        name=name,
        workload=ref.name,
        workload_kind=ref.kind,
        ip="",
        kind=kind,
        labels=labels,
        annotations=_annotations(candidate, kind),
        service_account=spec.text("serviceAccountName") or spec.text("serviceAccount") or "default",
        ports=container_ports(spec),
        containers=candidate.containers,
        preparing=preparing_of(spec),
        hostname=name if stateful else spec.text("hostname"),
        subdomain=manifest_service_name(manifest) if stateful else spec.text("subdomain"),
        locality=locality_of(labels, node),
        node=node.name if node else "",
        host_network=candidate.host_network,
        trust_domain=around.trust_domain,
        ready=key not in around.not_ready and candidate.annotations.get(READY) != "false",
        mounts=() if kind is PodKind.PLAIN else mounts_of(template),
        application_mounts=application_mounts(template),
        host_aliases=_host_aliases(spec),
    )


def _host_aliases(spec: Fields) -> dict[str, str]:
    found: dict[str, str] = {}
    for alias in spec.items("hostAliases"):
        address = alias.text("ip")
        if not is_ipv4(address):
            raise alias.error("ip", f"{address!r} is no IPv4 address", expected="an address such as 10.1.2.3")
        found |= dict.fromkeys(alias.words("hostnames"), address)
    return found


def _candidate(manifest: Manifest, template: Fields, around: Surroundings) -> Candidate:
    metadata, spec, ref = template.mapping("metadata"), template.mapping("spec"), manifest.ref
    labels = metadata.texts("labels")
    for key, value in labels.items():
        if problem := names.text_problem("labels", key, value):
            raise metadata.mapping("labels").error(key, problem)
    namespace_labels = around.namespaces.get(ref.namespace, {})
    if is_ambient({**namespace_labels, **labels}):
        raise metadata.error(
            "labels", f"ambient mode is not supported ({AMBIENT}: ambient)", expected="sidecars"
        )
    return Candidate(
        namespace=ref.namespace,
        workload=ref.name,
        labels=labels,
        annotations=metadata.texts("annotations"),
        namespace_labels=namespace_labels,
        containers=containers_of(spec),
        host_network=spec.truth("hostNetwork"),
        root_namespace=around.root_namespace,
    )


def _annotations(candidate: Candidate, kind: PodKind) -> dict[str, str]:
    return {**({} if kind is PodKind.PLAIN else {"istio.io/rev": "default"}), **candidate.annotations}


def _set_labels(manifest: Manifest, name: str) -> dict[str, str]:
    if manifest.ref.kind != "StatefulSet":
        return {}
    return {POD_NAME_LABEL: name, ORDINAL_LABEL: name.rpartition("-")[2]}


def manifest_service_name(manifest: Manifest) -> str:
    """The Service that gives a StatefulSet's pods their names."""
    return fields_of(manifest).mapping("spec").text("serviceName")


def _node(spec: Fields, around: Surroundings, key: str, workload: str, index: int) -> Node | None:
    name = around.placement.get(key) or around.placement.get(workload) or spec.text("nodeName")
    if not name:
        return schedule(around.nodes, spec.texts("nodeSelector"), index)
    found = next((node for node in around.nodes if node.name == name), None)
    return found or Node(name=name, ip="", labels={})
