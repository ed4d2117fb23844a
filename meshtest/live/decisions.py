"""Which policy decided an exchange: what istiod's names in the access logs mean in the user's files. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from meshtest.mesh.model import ObjectRef
from meshtest.mesh.places import locate
from meshtest.traffic.model import Decision

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshtest.mesh.model import MeshModel, Pod
    from meshtest.traffic.model import Exchange, Hop

_DENIED = "rbac_access_denied_matched_policy"
_RULE = re.compile(r"ns\[(?P<namespace>[^\]]+)\]-policy\[(?P<name>[^\]]+)\]-rule\[(?P<rule>\d+)\]")
_CONFIG = re.compile(
    r"/apis/(?P<group>[^/]+)/[^/]+/namespaces/(?P<namespace>[^/]+)/(?P<kind>[^/]+)/(?P<name>[^/]+)$"
)
_POLICY = "AuthorizationPolicy"


def told(exchanges: Iterable[Exchange], model: MeshModel) -> list[Exchange]:
    """The same exchanges, each with the policy that decided it, and a backend that has a namespace and a workload."""
    by_name: dict[str, Pod] = {}
    for pod in model.pods:
        by_name.setdefault(pod.name, pod)
    return [_named(exchange, by_name) for exchange in decided(exchanges, model)]


def _named(exchange: Exchange, by_name: Mapping[str, Pod]) -> Exchange:
    """An application that is not the stand-in may know its host name only, which is its pod's."""
    backend = exchange.backend
    if backend is None or backend.namespace:
        return exchange
    seen = {hop.pod.rpartition("/")[2]: hop.pod for hop in exchange.hops}
    pod = by_name.get(backend.pod)
    if pod is None:
        return exchange
    namespace = seen.get(pod.name, pod.key).partition("/")[0]
    return replace(exchange, backend=replace(backend, namespace=namespace, workload=pod.workload))


def decided(exchanges: Iterable[Exchange], model: MeshModel) -> list[Exchange]:
    """The same exchanges, each with the policy that decided it."""
    known: dict[tuple[str, ...], Decision | None] = {}
    found = []
    for exchange in exchanges:
        said = tuple(_said(hop) for hop in exchange.hops)
        if said not in known:
            known[said] = decision(exchange.hops, model)
        found.append(replace(exchange, decided_by=known[said]) if known[said] else exchange)
    return found


def decision(hops: Iterable[Hop], model: MeshModel) -> Decision | None:
    """The policy that denied, else the one that routed; None where the logs name none."""
    routed = None
    for hop in hops:
        denied = _denial(_said(hop), model)
        if denied is not None:
            return denied
        routed = routed or _route(hop.config, model)
    return routed


def _said(hop: Hop) -> str:
    return f"{hop.details} {hop.raw.get('termination') or ''} {hop.config}"


def _denial(said: str, model: MeshModel) -> Decision | None:
    if _DENIED not in said:
        return None
    found = _RULE.search(said)
    if found is None:
        return Decision(kind=_POLICY, namespace="", name="", effect="denied")
    return _decision(model, _POLICY, found, "denied", rule=int(found["rule"]))


def _route(config: str, model: MeshModel) -> Decision | None:
    found = _CONFIG.search(config)
    if found is None:
        return None
    kind = "".join(word.capitalize() for word in found["kind"].split("-"))
    return _decision(model, kind, found, "routed", group=found["group"])


def _decision(
    model: MeshModel,
    kind: str,
    found: re.Match[str],
    effect: str,
    *,
    rule: int | None = None,
    group: str = "security.istio.io",
) -> Decision:
    namespace, name = found["namespace"], found["name"]
    ref = ObjectRef(api_version=f"{group}/v1", kind=kind, namespace=namespace, name=name)
    place = locate(model, ref, "" if rule is None else f"spec.rules[{rule}]")
    return Decision(kind=kind, namespace=namespace, name=name, effect=effect, rule=rule, location=place)
