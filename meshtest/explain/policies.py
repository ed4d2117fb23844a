"""From the names that istiod gives to routes, clusters and RBAC policies to the objects and lines of the user."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from meshtest.mesh.ingresses import behind
from meshtest.mesh.kinds import group_of
from meshtest.mesh.model import ObjectRef
from meshtest.mesh.places import find, locate
from meshtest.mesh.route_rules import find_rule, merged
from meshtest.traffic.model import Decision

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.mesh.model import MeshModel

_RULE = re.compile(r"ns\[(?P<namespace>[^\]]+)\]-policy\[(?P<name>[^\]]+)\]-rule\[(?P<rule>\d+)\]")
_CONFIG = re.compile(
    r"/apis/(?P<group>[^/]+)/[^/]+/namespaces/(?P<namespace>[^/]+)/(?P<kind>[^/]+)/(?P<name>[^/]+)$"
)
MADE_NAME = re.compile(r"http\[(\d+)\]")
"""How `named` calls rules that have no name."""
AUTHORIZATION = "AuthorizationPolicy"


def authorization(model: MeshModel, name: str, effect: str) -> Decision:
    """The AuthorizationPolicy that an RBAC policy's name names; that of an absent match where it names none."""
    found = _RULE.search(name)
    if found is None:
        return Decision(kind=AUTHORIZATION, namespace="", name="", effect=effect)
    return decision(
        model,
        AUTHORIZATION,
        "security.istio.io",
        (found["namespace"], found["name"]),
        effect=effect,
        rule=int(found["rule"]),
    )


def routing(model: MeshModel, config: str, route: str = "", effect: str = "routed") -> Decision | None:
    """The object in a route's or cluster's metadata (`istio.config`); a route's name says which rule of it."""
    found = _CONFIG.search(config)
    if found is None:
        return None
    if merged(found["name"]):
        return _of_gateway_api(model, route, effect)
    if (ingress := behind(found["namespace"], found["name"], model.manifests)) is not None:
        ref, rule = ingress
        name = ref.namespace, ref.name
        return decision(model, ref.kind, group_of(ref.api_version), name, effect=effect, rule=rule)
    kind = "".join(word.capitalize() for word in found["kind"].split("-"))
    return decision(
        model, kind, found["group"], (found["namespace"], found["name"]), effect=effect, route=route
    )


def _of_gateway_api(model: MeshModel, route: str, effect: str) -> Decision | None:
    """The rule that istiod made a route of."""
    found = find_rule(route, model.manifests)
    if found is None:
        return None
    ref, rule = found
    name = ref.namespace, ref.name
    return decision(model, ref.kind, ref.api_version.partition("/")[0], name, effect=effect, rule=rule)


def decision(
    model: MeshModel,
    kind: str,
    group: str,
    name: tuple[str, str],
    *,
    effect: str,
    rule: int | None = None,
    route: str = "",
) -> Decision:
    """An object's part in what happened, with its place; `name` is its namespace and name."""
    namespace, own = name
    ref = ObjectRef(api_version=f"{group}/v1", kind=kind, namespace=namespace, name=own)
    path = f"spec.rules[{rule}]" if rule is not None else _rule_path(model, ref, route)
    return Decision(
        kind=kind, namespace=namespace, name=own, effect=effect, rule=rule, location=locate(model, ref, path)
    )


def _rule_path(model: MeshModel, ref: ObjectRef, route: str) -> str:
    """The rule of a VirtualService that a route is named after: its own name, or name and match's name."""
    if (made := MADE_NAME.match(route)) is not None:
        return f"spec.http[{made[1]}]"
    manifest = find(model, ref.api_version.partition("/")[0], ref.kind, ref.namespace, ref.name)
    spec = (manifest.body.get("spec") or {}) if manifest else {}
    rules = spec.get("http") if isinstance(spec, dict) else None
    if not route or not isinstance(rules, list):
        return ""
    for number, rule in enumerate(rules):
        own = rule.get("name") if isinstance(rule, dict) else None
        if own and (route == own or route.startswith(f"{own}.")):
            return f"spec.http[{number}]"
    return ""


def named(body: Mapping[str, Any]) -> dict[str, Any]:
    """An object as it is told to an engine that only explains: every rule of a VirtualService has a name.

    istiod writes the name on the routes that it makes of a rule, and so says which rule it was.
    """
    spec = body.get("spec")
    if (
        body.get("kind") != "VirtualService"
        or not isinstance(spec, dict)
        or not isinstance(spec.get("http"), list)
    ):
        return dict(body)
    rules = [
        {**rule, "name": rule.get("name") or f"http[{number}]"} if isinstance(rule, dict) else rule
        for number, rule in enumerate(spec["http"])
    ]
    return {**body, "spec": {**spec, "http": rules}}
