"""Machines outside Kubernetes that belong to the mesh: hosts outside with an agent, as virtual machines are.

WorkloadGroup ──► WorkloadEntry per machine, as istiod's auto-registration makes it
WorkloadEntry     registers one machine by hand
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meshtest.errors import ScenarioError, nearest
from meshtest.mesh.external import external_pods
from meshtest.mesh.fields import fields_of
from meshtest.mesh.injection import injected_labels
from meshtest.mesh.model import PodKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshtest.mesh.external import ExternalHost
    from meshtest.mesh.fields import Fields
    from meshtest.mesh.model import Manifest, MeshModel, Pod

GROUP_ANNOTATION = "istio.io/autoRegistrationGroup"
PROXY_CONFIG = "proxy.istio.io/config"


def external_places(
    hosts: Mapping[str, ExternalHost],
    manifests: Sequence[Manifest],
    previous: MeshModel | None = None,
    *,
    pod_network: str = "",
) -> tuple[list[Pod], list[dict[str, Any]]]:
    """Where the hosts outside are, and the WorkloadEntries that some of them make."""
    owners = {name: owner for name, host in hosts.items() if (owner := registered(name, host, manifests))}
    located = {
        name: replace(host, addresses=host.addresses or (address,))
        if (address := given_address(owners.get(name)))
        else host
        for name, host in hosts.items()
    }
    pods: list[Pod] = []
    entries: list[dict[str, Any]] = []
    for place in external_pods(located, previous, pod_network=pod_network):
        owner = owners.get(place.workload)
        pods.append(machine(place, owner) if owner else place)
        if owner and (entry := entry_of(pods[-1], owner)):
            entries.append(entry)
    return pods, entries


def registered(name: str, host: ExternalHost, manifests: Iterable[Manifest]) -> Manifest | None:
    """The WorkloadGroup or WorkloadEntry that a host says it belongs to; raises ScenarioError where there is none."""
    kind, key = (
        ("WorkloadGroup", host.workload_group)
        if host.workload_group
        else ("WorkloadEntry", host.workload_entry)
    )
    if not key:
        return None
    known = {f"{one.ref.namespace}/{one.ref.name}": one for one in manifests if one.ref.kind == kind}
    if key not in known:
        raise ScenarioError(
            f"no {kind} {key!r} in the manifests",
            key=f"external.{name}.{kind[0].lower()}{kind[1:]}",
            expected=" or ".join(known) or f"a {kind}",
            nearest=nearest(key, known),
        )
    return known[key]


def given_address(manifest: Manifest | None) -> str:
    """Where a WorkloadEntry says that its machine is."""
    if manifest is None or manifest.ref.kind != "WorkloadEntry":
        return ""
    return fields_of(manifest).mapping("spec").text("address")


def machine(place: Pod, manifest: Manifest) -> Pod:
    """A place outside as a machine with an agent: identity, labels and locality of what registers it."""
    entry = _template(manifest)
    ref = manifest.ref
    return replace(
        place,
        namespace=ref.namespace,
        kind=PodKind.SIDECAR,
        labels=injected_labels(PodKind.SIDECAR, {**_labels(manifest), **entry.texts("labels")}, ref.name),
        annotations=_annotations(manifest),
        service_account=entry.text("serviceAccount") or "default",
        locality=entry.text("locality"),
    )


def entry_of(place: Pod, manifest: Manifest) -> dict[str, Any] | None:
    """The WorkloadEntry that istiod makes when a machine of a group connects (pilot/pkg/autoregistration)."""
    if manifest.ref.kind != "WorkloadGroup":
        return None
    name = f"{manifest.ref.name}-{place.ip}"
    spec = {**_template(manifest).value, "address": place.ip, "labels": dict(place.labels)}
    notes = _metadata(manifest).texts("annotations")
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "WorkloadEntry",
        "metadata": {
            "namespace": manifest.ref.namespace,
            "name": name,
            "labels": dict(place.labels),
            "annotations": {GROUP_ANNOTATION: manifest.ref.name, **notes},
        },
        "spec": spec,
    }


def _template(manifest: Manifest) -> Fields:
    spec = fields_of(manifest).mapping("spec")
    return spec.mapping("template") if manifest.ref.kind == "WorkloadGroup" else spec


def _metadata(manifest: Manifest) -> Fields:
    """What stands on the entries of a group, or on the entry itself."""
    top = fields_of(manifest)
    return (
        top.mapping("spec").mapping("metadata")
        if manifest.ref.kind == "WorkloadGroup"
        else top.mapping("metadata")
    )


def _labels(manifest: Manifest) -> Mapping[str, str]:
    return _metadata(manifest).texts("labels")


def _annotations(manifest: Manifest) -> dict[str, str]:
    """As `istioctl x workload entry configure` sets a machine up: its agent captures DNS."""
    metadata = {"ISTIO_META_DNS_CAPTURE": "true"}
    if manifest.ref.kind == "WorkloadGroup":
        metadata["ISTIO_META_AUTO_REGISTER_GROUP"] = manifest.ref.name
    return {PROXY_CONFIG: json.dumps({"proxyMetadata": metadata}), **_metadata(manifest).texts("annotations")}
