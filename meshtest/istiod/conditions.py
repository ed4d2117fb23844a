"""What istiod's controllers say of Gateways, routes, policies and Ingresses that are not in force, and why. Pure.

status as they write it ──► conditions that are not as they should be ──► the field they are about
manifests without any   ──► what nobody here takes on
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshtest.mesh.gateway_api import is_gateway
from meshtest.mesh.ingresses import is_ingress
from meshtest.mesh.kinds import GATEWAY_API, group_of
from meshtest.mesh.route_rules import KINDS as HTTP_ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from meshtest.mesh.model import Manifest, ObjectRef

    Json = Mapping[str, Any]

ROUTES = HTTP_ROUTES | {"TCPRoute", "TLSRoute"}
_WANTED = {"Accepted": "True", "ResolvedRefs": "True", "Programmed": "True", "Conflicted": "False"}
_UNACCEPTED = "NotAccepted"
"""The reason where no controller says anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One condition that is not as it should be."""

    object: ObjectRef
    path: str
    """The field it is about."""
    reason: str
    """In the Gateway API's word, as `BackendNotFound`."""
    message: str


def has_status(manifest: Manifest) -> bool:
    """Whether some controller of istiod says of such an object if it is in force."""
    return group_of(manifest.ref.api_version) == GATEWAY_API or is_ingress(manifest)


def problems(found: Iterable[Json], manifests: Sequence[Manifest]) -> list[Problem]:
    """Everything that is not in force, in the order of the manifests.

    Args:
        found: what the engine's `status` says.
        manifests: of the same mesh.
    """
    known = {(one["kind"], one["namespace"], one["name"]): one["status"] for one in found}
    return [
        problem
        for manifest in manifests
        if has_status(manifest)
        for problem in _of(manifest, known.get((manifest.ref.kind, manifest.ref.namespace, manifest.ref.name), {}))
    ]  # fmt: skip


def _of(manifest: Manifest, status: Json) -> Iterator[Problem]:
    ref = manifest.ref
    if not status and (words := _not_taken(manifest)):
        yield Problem(object=ref, path=words[0], reason=_UNACCEPTED, message=words[1])
        return
    yield from _wrong(ref, "", status)
    yield from _named(manifest, "listeners", status.get("listeners", ()))
    if ref.kind in ROUTES:
        yield from _of_parents(manifest, status.get("parents", ()))
    for ancestor in status.get("ancestors", ()):
        yield from _wrong(ref, "", ancestor)


def _not_taken(manifest: Manifest) -> tuple[str, str] | None:
    spec = manifest.body.get("spec") or {}
    if is_gateway(manifest):
        return "spec.gatewayClassName", f"no controller here takes the class {spec.get('gatewayClassName')!r}"
    if is_ingress(manifest):
        return "", "istiod leaves it alone: its class is not that of an ingress controller of istiod's"
    return None


def _named(manifest: Manifest, field: str, items: Iterable[Json]) -> Iterator[Problem]:
    written = [one.get("name") for one in (manifest.body.get("spec") or {}).get(field) or ()]
    for item in items:
        path = f"spec.{field}[{written.index(item['name'])}]" if item["name"] in written else ""
        yield from _wrong(manifest.ref, path, item)


def _of_parents(manifest: Manifest, parents: Sequence[Json]) -> Iterator[Problem]:
    for number, written in enumerate((manifest.body.get("spec") or {}).get("parentRefs") or ()):
        path, wanted = f"spec.parentRefs[{number}]", _reference(written, manifest)
        told = [one for one in parents if _reference(one["parentRef"], manifest) == wanted]
        for one in told:
            yield from _wrong(manifest.ref, path, one)
        if not told:
            _, kind, namespace, name, *_ = wanted
            message = f"no {kind} {namespace}/{name} here takes the route"
            yield Problem(object=manifest.ref, path=path, reason=_UNACCEPTED, message=message)


def _reference(parent: Json, manifest: Manifest) -> tuple[Any, ...]:
    """With the API server's defaults."""
    return (
        parent.get("group", GATEWAY_API),
        parent.get("kind", "Gateway"),
        parent.get("namespace", manifest.ref.namespace),
        parent["name"],
        parent.get("sectionName"),
        parent.get("port"),
    )


def _wrong(ref: ObjectRef, path: str, owner: Json) -> Iterator[Problem]:
    told = {one["type"]: one for one in owner.get("conditions", ())}
    for kind, wanted in _WANTED.items():
        condition = told.get(kind)
        if condition is not None and condition["status"] != wanted:
            message = f"{kind} is {condition['status']}: {condition['message']}"
            yield Problem(object=ref, path=path, reason=condition["reason"], message=message)
