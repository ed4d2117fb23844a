"""Which kinds meshtest acts on, which mean nothing to a mesh, and which it refuses.

A kind that nothing acts on is an error, never a silent pass: a scenario that passes without its NetworkPolicy
would prove nothing. Versions are those that the CRDs of the pinned Istio and Gateway API serve.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING

from meshtest.errors import Location, ManifestError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshtest.mesh.model import Manifest

NETWORKING, SECURITY = "networking.istio.io", "security.istio.io"
EXTENSIONS, TELEMETRY = "extensions.istio.io", "telemetry.istio.io"
RBAC = "rbac.authorization.k8s.io"
GATEWAY_API, GATEWAY_API_X = "gateway.networking.k8s.io", "gateway.networking.x-k8s.io"


class Treatment(Enum):
    """What becomes of an object of some kind."""

    ACTED_ON = "acted on"
    PASSED_OVER = "passed over"
    """It means nothing to a mesh; it is listed."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind and what becomes of it; without `versions` every version will do."""

    group: str
    name: str
    versions: tuple[str, ...] = ()
    treatment: Treatment = Treatment.ACTED_ON
    cluster_scoped: bool = False
    reason: str = ""

    @property
    def api_versions(self) -> tuple[str, ...]:
        """Its `apiVersion`s as manifests write them."""
        return tuple(f"{self.group}/{version}" if self.group else version for version in self.versions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorted:
    """Manifests by what becomes of them, each in their order."""

    acted_on: Sequence[Manifest]
    passed_over: Sequence[Manifest]
    unsupported: Sequence[Manifest]


_ACTED_ON: tuple[tuple[str, str, str], ...] = (
    ("", "v1", "Service ServiceAccount ConfigMap Secret Pod Endpoints"),
    ("discovery.k8s.io", "v1", "EndpointSlice"),
    ("apps", "v1", "Deployment StatefulSet DaemonSet ReplicaSet"),
    (NETWORKING, "v1 v1beta1 v1alpha3", "VirtualService DestinationRule ServiceEntry WorkloadEntry"),
    (NETWORKING, "v1 v1beta1 v1alpha3", "WorkloadGroup Sidecar Gateway"),
    (NETWORKING, "v1alpha3", "EnvoyFilter"),
    (NETWORKING, "v1beta1", "ProxyConfig"),
    (SECURITY, "v1 v1beta1", "PeerAuthentication RequestAuthentication AuthorizationPolicy"),
    (TELEMETRY, "v1 v1alpha1", "Telemetry"),
    (EXTENSIONS, "v1alpha1", "TrafficExtension"),
    (GATEWAY_API, "v1 v1beta1", "HTTPRoute Gateway ReferenceGrant"),
    (GATEWAY_API, "v1", "GRPCRoute ListenerSet"),
    (GATEWAY_API, "v1 v1alpha2", "TCPRoute"),
    (GATEWAY_API, "v1 v1alpha3 v1alpha2", "TLSRoute"),
    (GATEWAY_API, "v1 v1alpha3", "BackendTLSPolicy"),
    (GATEWAY_API_X, "v1alpha1", "XBackendTrafficPolicy"),
    ("networking.k8s.io", "v1", "Ingress"),
    (RBAC, "v1", "Role RoleBinding"),
)
_ACTED_ON_IN_NO_NAMESPACE: tuple[tuple[str, str, str], ...] = (
    ("", "v1", "Namespace Node"),
    (GATEWAY_API, "v1 v1beta1", "GatewayClass"),
    ("networking.k8s.io", "v1", "IngressClass"),
    (RBAC, "v1", "ClusterRole ClusterRoleBinding"),
)
_PASSED_OVER: tuple[tuple[str, str], ...] = (
    ("", "PersistentVolumeClaim LimitRange ResourceQuota Event PodTemplate"),
    ("autoscaling", "HorizontalPodAutoscaler"),
    ("autoscaling.k8s.io", "VerticalPodAutoscaler"),
    ("keda.sh", "ScaledObject ScaledJob TriggerAuthentication"),
    ("policy", "PodDisruptionBudget"),
    ("batch", "Job CronJob"),
    ("coordination.k8s.io", "Lease"),
    ("monitoring.coreos.com", "ServiceMonitor PodMonitor PrometheusRule Probe"),
    ("cert-manager.io", "Certificate CertificateRequest Issuer"),
    ("external-secrets.io", "ExternalSecret SecretStore"),
    ("bitnami.com", "SealedSecret"),
)
_PASSED_OVER_IN_NO_NAMESPACE: tuple[tuple[str, str], ...] = (
    ("", "PersistentVolume"),
    ("storage.k8s.io", "StorageClass CSIDriver"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("node.k8s.io", "RuntimeClass"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("apiregistration.k8s.io", "APIService"),
    ("cert-manager.io", "ClusterIssuer"),
    ("external-secrets.io", "ClusterSecretStore ClusterExternalSecret"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding"),
)
NO_AGENT = "Istio's agent, which fetches WebAssembly modules for Envoy, does not run here"
_REFUSED: tuple[tuple[str, str, str], ...] = (
    (EXTENSIONS, "WasmPlugin", NO_AGENT),
    (GATEWAY_API, "UDPRoute", "istiod does not route UDP"),
    (GATEWAY_API_X, "XListenerSet", f"it became ListenerSet of {GATEWAY_API}/v1"),
    (GATEWAY_API_X, "XBackend", "istiod does not act on it"),
    (GATEWAY_API_X, "XMesh", "istiod does not act on it"),
    ("networking.k8s.io", "NetworkPolicy", "nothing here filters packets by it"),
    ("inference.networking.k8s.io", "InferencePool", "it needs an endpoint picker"),
    ("install.istio.io", "IstioOperator", "give its meshConfig to meshtest as the mesh configuration"),
    ("", "ReplicationController", "use a Deployment"),
    ("argoproj.io", "Rollout", "its pods come from its controller; use a Deployment"),
    ("argoproj.io", "Application", "render what it deploys and give that"),
    ("kustomize.config.k8s.io", "Kustomization", "run `kustomize build` and give its output"),
    ("kustomize.toolkit.fluxcd.io", "Kustomization", "run `kustomize build` and give its output"),
    ("helm.toolkit.fluxcd.io", "HelmRelease", "run `helm template` and give its output"),
)


def _table() -> Mapping[tuple[str, str], Kind]:
    known = [
        Kind(group=group, name=name, versions=tuple(versions.split()), cluster_scoped=scoped)
        for rows, scoped in ((_ACTED_ON, False), (_ACTED_ON_IN_NO_NAMESPACE, True))
        for group, versions, names in rows
        for name in names.split()
    ]
    known += [
        Kind(group=group, name=name, treatment=Treatment.PASSED_OVER, cluster_scoped=scoped)
        for rows, scoped in ((_PASSED_OVER, False), (_PASSED_OVER_IN_NO_NAMESPACE, True))
        for group, names in rows
        for name in names.split()
    ]
    known += [
        Kind(group=group, name=name, treatment=Treatment.REFUSED, reason=reason)
        for group, name, reason in _REFUSED
    ]
    return MappingProxyType({(kind.group, kind.name): kind for kind in known})


KINDS = _table()


def group_of(api_version: str) -> str:
    """`apps` of `apps/v1`, the empty string of `v1`."""
    return api_version.rpartition("/")[0]


def find(api_version: str, kind: str) -> Kind | None:
    """What is known of a kind, whatever its version."""
    return KINDS.get((group_of(api_version), kind))


def is_cluster_scoped(api_version: str, kind: str) -> bool:
    """Whether objects of a kind have no namespace; kinds that are not known are taken to have one."""
    known = find(api_version, kind)
    return known is not None and known.cluster_scoped


def sort(manifests: Iterable[Manifest], *, allow_unsupported: bool = False) -> Sorted:
    """Tell apart what is acted on, passed over and unsupported.

    Raises ManifestError for wrong API versions, and for unsupported kinds unless they are allowed; one error
    tells of all of them.
    """
    found: dict[Treatment, list[Manifest]] = {treatment: [] for treatment in Treatment}
    errors = []
    for manifest in manifests:
        ref = manifest.ref
        kind = find(ref.api_version, ref.kind)
        treatment = kind.treatment if kind else Treatment.REFUSED
        found[treatment].append(manifest)
        if problem := version_problem(manifest, kind):
            errors.append(problem)
        elif treatment is Treatment.REFUSED and not allow_unsupported:
            errors.append(_unsupported(manifest, kind))
    if errors:
        raise combined(errors)
    return Sorted(
        acted_on=found[Treatment.ACTED_ON],
        passed_over=found[Treatment.PASSED_OVER],
        unsupported=found[Treatment.REFUSED],
    )


def combined(errors: Sequence[ManifestError]) -> ManifestError:
    """One error that tells of several, at the place of the first."""
    first, *rest = errors
    if not rest:
        return first
    return ManifestError(
        "\n".join([str(first).removeprefix(f"{first.location}: "), *map(str, rest)]), location=first.location
    )


def version_problem(manifest: Manifest, kind: Kind | None) -> ManifestError | None:
    """An error if the kind is known, but not in this API group or version."""
    ref = manifest.ref
    homes = [kind] if kind else [known for known in KINDS.values() if known.name == ref.kind]
    expected = [version for home in homes for version in home.api_versions]
    if not expected or ref.api_version in expected:
        return None
    return ManifestError(
        f"no kind {ref.kind!r} in {ref.api_version!r}",
        location=_at(manifest, "apiVersion"),
        key="apiVersion",
        expected=" or ".join(expected),
    )


def _unsupported(manifest: Manifest, kind: Kind | None) -> ManifestError:
    ref = manifest.ref
    reason = f" ({kind.reason})" if kind and kind.reason else ""
    known = (entry.name for entry in KINDS.values() if entry.treatment is Treatment.ACTED_ON)
    return ManifestError(
        f'unsupported kind "{ref.kind}" of {ref.api_version}{reason}',
        location=_at(manifest, "kind"),
        key="kind",
        nearest=None if kind else nearest(ref.kind, known),
    )


def _at(manifest: Manifest, path: str) -> Location:
    line = manifest.lines.get(path, manifest.location.line)
    return Location(file=manifest.location.file, line=line)
