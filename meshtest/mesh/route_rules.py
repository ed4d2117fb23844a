"""What istiod calls the rules of Gateway API routes in its configuration. Pure.

A rule's own name, else `NAMESPACE.ROUTE.INDEX` (istio/istio: pilot/pkg/config/kube/gateway/conversion.go). The
VirtualService that it merges the routes of a host into has a name that no object of a cluster can have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshtest.mesh.model import Manifest, ObjectRef

KINDS = frozenset({"HTTPRoute", "GRPCRoute"})
_JOINT = "~"


class Rule(NamedTuple):
    """One rule of a route."""

    ref: ObjectRef
    number: int


def merged(virtual_service: str) -> bool:
    """Whether a VirtualService of this name is one that istiod made of Gateway API routes."""
    return _JOINT in virtual_service


def find_rule(name: str, manifests: Iterable[Manifest]) -> Rule | None:
    """The rule that an Envoy route is named after; None where two routes have a rule of that name."""
    found = [
        Rule(manifest.ref, index)
        for manifest in manifests
        if manifest.ref.kind in KINDS
        for index, own in enumerate(_names(manifest))
        if own == name
    ]
    return found[0] if len(found) == 1 else None


def _names(manifest: Manifest) -> list[str]:
    ref = manifest.ref
    rules = (manifest.body.get("spec") or {}).get("rules") or [{}]
    return [rule.get("name") or f"{ref.namespace}.{ref.name}.{index}" for index, rule in enumerate(rules)]
