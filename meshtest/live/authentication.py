"""Which authentication policy holds for a pod, to name it where Envoy's logs name none. Pure.

istiod decides by the same rules (istio/istio: pilot/pkg/model/authentication.go and
pilot/pkg/security/authn/policy_applier.go); here they only put a name to what has happened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshtest.mesh.kinds import SECURITY, group_of
from meshtest.mesh.selectors import matches

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.mesh.model import Manifest, MeshModel, Pod

GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
_INHERITED = ("", "UNSET")


def for_tokens(model: MeshModel, pod: Pod, issuer: str) -> tuple[Manifest, str] | None:
    """The RequestAuthentication that judged a token of this issuer, and the path of its rule.

    Of an issuer that none of them knows, the only one there is; None where several might be meant.
    """
    root = model.root_namespace
    policies = [each for each in _policies(model, "RequestAuthentication") if _holds(each, pod, root)]
    for policy in policies:
        for index, rule in enumerate(_spec(policy).get("jwtRules") or ()):
            if issuer and rule.get("issuer") == issuer:
                return policy, f"spec.jwtRules[{index}]"
    return (policies[0], "spec") if len(policies) == 1 else None


def for_peers(model: MeshModel, pod: Pod, port: int) -> tuple[Manifest, str] | None:
    """The PeerAuthentication whose mode holds for a port of a pod, and the path of the mode."""
    root = model.root_namespace
    policies = [each for each in _policies(model, "PeerAuthentication") if _holds(each, pod, root)]
    for level in (_of_workload, _of_namespace, _of_mesh):
        for policy in (each for each in policies if level(each, pod, root)):
            spec = _spec(policy)
            for path, mode in _modes(spec, port, alone=level is not _of_workload):
                if mode not in _INHERITED:
                    return policy, path
    return None


def _modes(spec: Mapping[str, Any], port: int, *, alone: bool) -> list[tuple[str, str]]:
    own = [] if alone else [(f"spec.portLevelMtls.{port}.mode", _mode(_by_port(spec, port)))]
    return [*own, ("spec.mtls.mode", _mode(spec.get("mtls")))]


def _by_port(spec: Mapping[str, Any], port: int) -> Any:
    levels = spec.get("portLevelMtls") or {}
    return levels.get(port, levels.get(str(port)))


def _mode(value: Any) -> str:
    return str((value or {}).get("mode") or "")


def _policies(model: MeshModel, kind: str) -> list[Manifest]:
    """All of a kind, the oldest first."""

    def age(manifest: Manifest) -> int:
        ref = manifest.ref
        return model.created.get((SECURITY, ref.kind, ref.namespace, ref.name), 0)

    found = (
        each
        for each in model.manifests
        if each.ref.kind == kind and group_of(each.ref.api_version) == SECURITY
    )
    return sorted(found, key=age)


def _spec(manifest: Manifest) -> Mapping[str, Any]:
    return manifest.body.get("spec") or {}


def _labels(manifest: Manifest) -> Mapping[str, str]:
    return (_spec(manifest).get("selector") or {}).get("matchLabels") or {}


def _holds(manifest: Manifest, pod: Pod, root: str) -> bool:
    spec, namespace = _spec(manifest), manifest.ref.namespace
    targets = [*(spec.get("targetRefs") or ()), *([spec["targetRef"]] if spec.get("targetRef") else ())]
    if targets:
        names = [each.get("name") for each in targets if each.get("kind") == "Gateway"]
        return namespace == pod.namespace and pod.labels.get(GATEWAY_NAME, "") in names
    return namespace in (pod.namespace, root) and matches(_labels(manifest), pod.labels)


def _of_workload(manifest: Manifest, pod: Pod, _root: str) -> bool:
    return bool(_labels(manifest)) and manifest.ref.namespace == pod.namespace


def _of_namespace(manifest: Manifest, pod: Pod, _root: str) -> bool:
    return not _labels(manifest) and manifest.ref.namespace == pod.namespace


def _of_mesh(manifest: Manifest, _pod: Pod, root: str) -> bool:
    return not _labels(manifest) and manifest.ref.namespace == root
