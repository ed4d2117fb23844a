"""A mesh of which only policies changed: pods, Services, addresses and names are those that it had. Pure.

    previous model ──┬── what shapes a mesh: the same manifests ──► taken over as it is
                     └── policies: those that are new or differ ──► stamped, and put in their place

A test changes a policy far more often than a workload, and a mesh of a hundred of those takes long to build.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from meshtest.mesh import objects
from meshtest.mesh.kinds import GATEWAY_API, NETWORKING, SECURITY, TELEMETRY, group_of
from meshtest.mesh.manifests import identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshtest.mesh.model import Manifest, MeshModel
    from meshtest.mesh.objects import Identity

POLICIES = frozenset(
    (group, kind)
    for group, kinds in (
        (NETWORKING, "VirtualService DestinationRule Sidecar EnvoyFilter"),
        (SECURITY, "PeerAuthentication RequestAuthentication AuthorizationPolicy"),
        (TELEMETRY, "Telemetry"),
        (GATEWAY_API, "HTTPRoute GRPCRoute"),
    )
    for kind in kinds.split()
)
"""Group and kind of what istiod alone reads: no pod, address or name follows from them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """Which policies of a mesh are others than before."""

    changed: Sequence[Manifest]
    gone: frozenset[Identity]

    def of(self, previous: MeshModel, manifests: Sequence[Manifest]) -> MeshModel:
        """The mesh with these policies."""
        stamped, created = objects.stamp((one.body for one in self.changed), previous.created)
        replaced = {**previous.created, **created}
        touched = created.keys() | self.gone
        held = [
            body
            for body in previous.objects
            if (group_of(body["apiVersion"]), body["kind"]) not in POLICIES
            or objects.identity_of(body) not in touched
        ]
        return replace(
            previous,
            manifests=manifests,
            objects=[*held, *stamped],
            created={key: number for key, number in replaced.items() if key not in self.gone},
        )


def revision(previous: MeshModel, manifests: Sequence[Manifest]) -> Revision | None:
    """What policies differ in; None where more than policies does, or a namespace comes or goes with them."""
    old, old_policies = _apart(previous.manifests)
    new, new_policies = _apart(manifests)
    before = {identity(one.ref): one for one in old_policies}
    after = {identity(one.ref): one for one in new_policies}
    same = len(old) == len(new) and all(one is other for one, other in zip(old, new, strict=True))
    always = {"default", previous.root_namespace}
    moved = _namespaces(previous.manifests) | always != _namespaces(manifests) | always
    if not same or moved or len(after) != len(new_policies):
        return None
    return Revision(
        changed=[one for key, one in after.items() if before.get(key) is not one],
        gone=frozenset(before.keys() - after.keys()),
    )


def _apart(manifests: Iterable[Manifest]) -> tuple[list[Manifest], list[Manifest]]:
    """What shapes a mesh, and the policies."""
    shaping: list[Manifest] = []
    policies: list[Manifest] = []
    for one in manifests:
        known = (group_of(one.ref.api_version), one.ref.kind) in POLICIES
        (policies if known else shaping).append(one)
    return shaping, policies


def _namespaces(manifests: Iterable[Manifest]) -> set[str]:
    return {one.ref.namespace for one in manifests}
