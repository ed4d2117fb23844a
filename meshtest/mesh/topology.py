"""Nodes of the cluster, and where on them pods are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshtest.mesh.fields import fields_of
from meshtest.mesh.selectors import matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshtest.mesh.model import Manifest

REGION, ZONE = "topology.kubernetes.io/region", "topology.kubernetes.io/zone"
SUBZONE = "topology.istio.io/subzone"
LOCALITY_LABELS = ("topology.istio.io/locality", "istio-locality")
HOSTNAME = "kubernetes.io/hostname"
DEFAULT_NODE = "node-1"
NODE_NETWORK = "172.18"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A machine of the cluster, as far as it says where its pods are."""

    name: str
    ip: str
    labels: Mapping[str, str]

    @property
    def locality(self) -> str:
        """`region/zone/subzone`, as far as its labels say."""
        parts = [self.labels.get(label, "") for label in (REGION, ZONE, SUBZONE)]
        return "/".join(parts).rstrip("/")


def nodes_of(manifests: Iterable[Manifest]) -> list[Node]:
    """The nodes that the manifests bring, else a single one."""
    given = [
        (manifest.ref.name, fields_of(manifest).mapping("metadata").texts("labels"))
        for manifest in manifests
        if manifest.ref.kind == "Node"
    ]
    return [
        Node(
            name=name,
            ip=f"{NODE_NETWORK}.{index // 250}.{index % 250 + 2}",
            labels={HOSTNAME: name, "kubernetes.io/os": "linux", **labels},
        )
        for index, (name, labels) in enumerate(given or [(DEFAULT_NODE, {})])
    ]


def schedule(nodes: Sequence[Node], selector: Mapping[str, str], index: int) -> Node | None:
    """The node of a workload's replica number `index`: replicas are spread over the nodes that fit."""
    fitting = [node for node in nodes if matches(selector, node.labels)]
    return fitting[index % len(fitting)] if fitting else None


def locality_of(labels: Mapping[str, str], node: Node | None) -> str:
    """Where a pod is: its own label says, else its node's (istio/istio: pkg/model/proxy.go)."""
    for label in LOCALITY_LABELS:
        if said := labels.get(label):
            return said if "/" in said else said.replace(".", "/")
    return node.locality if node else ""
