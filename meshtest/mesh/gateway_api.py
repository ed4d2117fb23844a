"""Gateways of the Gateway API: what istiod's deployment controller reads of a cluster, and what it puts there.

manifests ──► asked ──► the controller (in the engine) ──► placed ──► a Deployment, a Service, a ServiceAccount each
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshtest.mesh.fields import fields_of
from meshtest.mesh.kinds import GATEWAY_API, combined, group_of
from meshtest.mesh.model import Manifest, ObjectRef
from meshtest.mesh.objects import namespace_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshtest.errors import ManifestError

_READ = frozenset(
    (
        (GATEWAY_API, "Gateway"),
        (GATEWAY_API, "GatewayClass"),
        (GATEWAY_API, "ListenerSet"),
        ("", "ConfigMap"),
    )
)
_OWN = frozenset((("apps", "Deployment"), ("", "Service"), ("", "ServiceAccount")))
"""Where one of these is there already, the controller leaves it alone; what it says besides its name is no matter."""
_TAGS = frozenset((("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),))
"""By their labels, the further names of istiod's revision (`istioctl tag generate`)."""
_AMBIENT_CLASSES = frozenset(
    ("istio-waypoint", "istio-east-west", "istio-agentgateway", "istio-agentgateway-waypoint")
)
_AMBIENT_CONTROLLERS = frozenset(
    (
        "istio.io/mesh-controller",
        "istio.io/eastwest-controller",
        "istio.io/agentgateway-controller",
        "istio.io/agentgateway-waypoint-controller",
    )
)


def is_gateway(manifest: Manifest) -> bool:
    """Whether it is a Gateway of the Gateway API, not of Istio."""
    return manifest.ref.kind == "Gateway" and group_of(manifest.ref.api_version) == GATEWAY_API


def asked(manifests: Sequence[Manifest]) -> list[Mapping[str, Any]]:
    """The objects that decide which gateways run; none where no Gateway is there."""
    if not any(map(is_gateway, manifests)):
        return []
    given = {one.ref.name: one.body for one in manifests if _key(one) == ("", "Namespace")}
    spaces = dict.fromkeys([*given, *(one.ref.namespace for one in manifests if one.ref.namespace)])
    return [
        *(namespace_object(name, given.get(name)) for name in spaces),
        *(
            one.body if _key(one) in _READ else _bare(one)
            for one in manifests
            if _key(one) in _READ | _OWN | _TAGS
        ),
    ]


def placed(made: Iterable[Mapping[str, Any]], manifests: Iterable[Manifest]) -> list[Manifest]:
    """What the controller made, as manifests that stand where their Gateways do."""
    gateways = {(one.ref.namespace, one.ref.name): one for one in manifests if is_gateway(one)}
    order = {key: number for number, key in enumerate(gateways)}
    owned = [((body["metadata"]["namespace"], _owner(body)), body) for body in made]
    return [
        Manifest(
            ref=ObjectRef(
                api_version=body["apiVersion"], kind=body["kind"], namespace=key[0], name=body["metadata"]["name"]
            ),
            body=body,
            location=gateways[key].location,
        )
        for key, body in sorted(owned, key=lambda pair: order[pair[0]])
    ]  # fmt: skip


def check_classes(manifests: Sequence[Manifest]) -> None:
    """Raise ManifestError for Gateways of ambient mode, which would have no pods."""
    controllers = {
        one.ref.name: fields_of(one).mapping("spec").text("controllerName")
        for one in manifests
        if _key(one) == (GATEWAY_API, "GatewayClass")
    }
    errors: list[ManifestError] = []
    for one in filter(is_gateway, manifests):
        spec = fields_of(one).mapping("spec")
        name = spec.text("gatewayClassName")
        if name in _AMBIENT_CLASSES or controllers.get(name) in _AMBIENT_CONTROLLERS:
            problem = f"class {name!r} is one of ambient mode, which is not supported"
            errors.append(spec.error("gatewayClassName", problem, expected="istio"))
    if errors:
        raise combined(errors)


def _key(manifest: Manifest) -> tuple[str, str]:
    return group_of(manifest.ref.api_version), manifest.ref.kind


def _bare(manifest: Manifest) -> Mapping[str, Any]:
    ref = manifest.ref
    metadata = {"namespace": ref.namespace, "name": ref.name}
    if labels := manifest.body["metadata"].get("labels"):
        metadata["labels"] = labels
    return {"apiVersion": ref.api_version, "kind": ref.kind, "metadata": metadata}


def _owner(body: Mapping[str, Any]) -> str:
    return str(body["metadata"]["ownerReferences"][0]["name"])
