"""Which fields are read and without effect, and why: what no refusal and no test can tell the page.

Of Istio's kinds and those of the Gateway API everything has its effect but for what stands here. Of Kubernetes' own
kinds nothing has but for what stands here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.mesh.kinds import EXTENSIONS, GATEWAY_API, NETWORKING, RBAC, SECURITY, TELEMETRY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ci.support.fields import Kind

_OLD = "istiod warns of it and reads consecutiveGatewayErrors and consecutive5xxErrors"
_AGENT = "Istio's agent goes by it, and meshtest starts Envoys without one"
_AUTHORITY = "certificates are of meshtest's own authority, or of the one in the Secret `cacerts`"
_ONE_WORKER = (
    "every Envoy of meshtest has one worker thread, whatever else it has; how many changes speed, no answer"
)
_ITS_ENVOY = "it names Istio's image, and meshtest brings Envoy (or takes the image given by `proxies:`)"
_STATISTICS = "nothing reads the proxies' statistics under their names"
_POLICIES = ("spec.trafficPolicy", "spec.subsets[].trafficPolicy")
_NO_ONE_ELSE = "manifests are the only source of configuration"

_NO_FILTER = "istiod has no such filter, and says so in the route's status"
_NO_FILTER_THERE = "istiod has no such filter of a backend, and says so in the route's status"
_TARGETS = {
    f"spec.{word}.namespace": "the API server refuses any value: the namespace is the policy's own"
    for word in ("targetRef", "targetRefs[]")
}

WITHOUT_EFFECT: Mapping[Kind, Mapping[str, str]] = {
    (SECURITY, "AuthorizationPolicy"): _TARGETS,
    (SECURITY, "RequestAuthentication"): _TARGETS,
    (TELEMETRY, "Telemetry"): _TARGETS,
    (EXTENSIONS, "TrafficExtension"): {
        "spec.targetRefs[].namespace": _TARGETS["spec.targetRefs[].namespace"]
    },
    (NETWORKING, "DestinationRule"): {
        f"{policy}.outlierDetection.consecutiveErrors": _OLD
        for rule in _POLICIES
        for policy in (rule, f"{rule}.portLevelSettings[]")
    },
    (NETWORKING, "VirtualService"): {
        "spec.http[].match[].statPrefix": _STATISTICS,
        "spec.http[].fault.abort.http2Error": "istiod's admission refuses it",
        "spec.http[].fault.delay.exponentialDelay": "istiod's admission refuses it",
    },
    (NETWORKING, "Gateway"): {"spec.servers[].name": _STATISTICS},
    (GATEWAY_API, "HTTPRoute"): {
        **{
            f"spec.rules[].{name}": _NO_FILTER
            for name in ("filters[].externalAuth", "filters[].extensionRef")
        },
        **{
            f"spec.rules[].backendRefs[].filters[].{name}": _NO_FILTER_THERE
            for name in (
                "externalAuth",
                "extensionRef",
                "cors",
                "requestMirror",
                "requestRedirect",
                "urlRewrite",
            )
        },
    },
    (GATEWAY_API, "GRPCRoute"): {
        "spec.rules[].filters[].extensionRef": _NO_FILTER,
        "spec.rules[].backendRefs[].filters[].extensionRef": _NO_FILTER_THERE,
        "spec.rules[].backendRefs[].filters[].requestMirror": _NO_FILTER_THERE,
    },
    (NETWORKING, "WorkloadGroup"): {
        "spec.probe": f"{_AGENT}; machines are healthy",
        "spec.template.address": "the own address of each machine takes its place, as istiod registers it",
    },
    (NETWORKING, "EnvoyFilter"): {
        "spec.configPatches[].patch.filterClass": "istiod makes nothing of it",
        "spec.configPatches[].match.waypoint": "it is for ambient mode, which is refused",
        "spec.targetRefs[].namespace": _TARGETS["spec.targetRefs[].namespace"],
    },
    (NETWORKING, "ProxyConfig"): {"spec.concurrency": _ONE_WORKER, "spec.image": _ITS_ENVOY},
    ("", "MeshConfig"): {
        "ca": _AUTHORITY,
        "caCertificates[].spiffeBundleUrl": "nobody fetches it",
        "caCertificates[].certSigners": _AUTHORITY,
        "caCertificates[].trustDomains": "istiod makes nothing of it",
        "certificates": _AUTHORITY,
        "configSources": _NO_ONE_ELSE,
        "enablePrometheusMerge": _AGENT,
        "inboundClusterStatName": _STATISTICS,
        "outboundClusterStatName": _STATISTICS,
        "verifyCertificateAtClient": "istiod makes nothing of it",
        "extensionProviders[].prometheus": "metrics come from istio.stats, a filter of Istio's own Envoy",
        "extensionProviders[].stackdriver.logging": "istiod makes nothing of it",
        "defaultProviders.metrics": "metrics come from istio.stats, a filter of Istio's own Envoy",
        "serviceScopeConfigs": "it is for ambient mode of several clusters",
        "serviceSettings": "it is for meshes of several clusters",
        **{
            f"defaultConfig.{name}": reason
            for reason, names in {
                _AGENT: """configPath binaryPath drainDuration discoveryAddress discoveryRefreshDelay
                    proxyAdminPort controlPlaneAuthPolicy customConfigFile proxyBootstrapTemplatePath statusPort
                    terminationDrainDuration readinessProbe holdApplicationUntilProxyStarts sds caCertificatesPem
                    privateKeyProvider fileFlushInterval fileFlushMinSizeKb""",
                _STATISTICS: """statsdUdpAddress statNameLength extraStatTags proxyStatsMatcher statsCompression
                    envoyMetricsServiceAddress envoyMetricsService""",
                _ONE_WORKER: "concurrency",
                _ITS_ENVOY: "image",
                "istiod makes nothing of it": """connectionSettings.clusterPerConnectionBufferLimitBytes
                    connectionSettings.listenerConnectionLimit connectionSettings.globalDownstreamConnectionLimit""",
                "spans go to it in plain text": "tracing.tlsSettings",
                "nodes and labels say where pods are": "availabilityZone",
                "the mesh is told by its trust domain": "meshId",
                "it is the old name of `tracing.zipkin.address`, which is read": "zipkinAddress",
                "no Envoy knows the service": "envoyAccessLogService",
            }.items()
            for name in names.split()
        },
    },
}
"""Kind -> field, with all below it -> why."""

_PORT = "name port targetPort protocol appProtocol nodePort"
_RUNNABLE = """name image command args workingDir envFrom ports volumeMounts resources env[].name env[].value
    env[].valueFrom.fieldRef env[].valueFrom.resourceFieldRef env[].valueFrom.configMapKeyRef
    env[].valueFrom.secretKeyRef securityContext.runAsUser securityContext.runAsGroup"""
_CONTAINER = f"{_RUNNABLE} readinessProbe startupProbe"
_RULES, _SUBJECTS = "apiGroups resources resourceNames verbs", "kind name namespace"


def _in(place: str, names: str) -> tuple[str, ...]:
    return tuple(f"{place}.{name}" for name in names.split())


_SERVICE = """type selector clusterIP externalName externalIPs loadBalancerIP ipFamilies publishNotReadyAddresses
    internalTrafficPolicy trafficDistribution"""
_SLICE = "addresses conditions hostname targetRef nodeName zone"
_VOLUME = """name secret configMap downwardAPI emptyDir persistentVolumeClaim ephemeral projected.defaultMode
    projected.sources[].secret projected.sources[].configMap projected.sources[].downwardAPI"""
_POD = """serviceAccountName serviceAccount hostNetwork hostname subdomain nodeName nodeSelector
    enableServiceLinks hostAliases securityContext.runAsUser securityContext.runAsGroup
    securityContext.fsGroup securityContext.supplementalGroups"""

ACTED_ON: Mapping[Kind, tuple[str, ...]] = {
    ("", "Namespace"): (),
    ("", "Node"): (),
    ("", "ServiceAccount"): (),
    ("", "ConfigMap"): ("data", "binaryData"),
    ("", "Secret"): ("data", "stringData", "type"),
    ("", "Service"): (*_in("spec.ports[]", _PORT), *_in("spec", _SERVICE)),
    ("", "Endpoints"): (
        *_in("subsets[].addresses[]", "ip hostname"),
        *_in("subsets[].notReadyAddresses[]", "ip hostname"),
        *_in("subsets[].ports[]", "name port protocol appProtocol"),
    ),
    ("discovery.k8s.io", "EndpointSlice"): ("addressType", "ports", *_in("endpoints[]", _SLICE)),
    ("apps", "Deployment"): _in("spec", "replicas selector"),
    ("apps", "ReplicaSet"): _in("spec", "replicas selector"),
    ("apps", "DaemonSet"): ("spec.selector",),
    ("apps", "StatefulSet"): _in("spec", "replicas selector serviceName ordinals.start"),
    ("", "Pod"): (
        *_in("spec.containers[]", _CONTAINER),
        *_in("spec.initContainers[]", f"restartPolicy {_RUNNABLE}"),
        *_in("spec.volumes[]", _VOLUME),
        *_in("spec", _POD),
    ),
    ("networking.k8s.io", "Ingress"): (
        *_in("spec", "ingressClassName defaultBackend.service tls"),
        *_in("spec.rules[]", "host http.paths[].path http.paths[].pathType http.paths[].backend.service"),
    ),
    ("networking.k8s.io", "IngressClass"): ("spec.controller",),
    (RBAC, "Role"): _in("rules[]", _RULES),
    (RBAC, "ClusterRole"): _in("rules[]", _RULES),
    (RBAC, "RoleBinding"): (*_in("roleRef", "kind name"), *_in("subjects[]", _SUBJECTS)),
    (RBAC, "ClusterRoleBinding"): (*_in("roleRef", "kind name"), *_in("subjects[]", _SUBJECTS)),
}
"""Kubernetes' own kinds -> fields, with all below them, that have an effect."""

_MESH_CONFIG = """What `mesh_config=` and `meshConfig:` of a scenario hold. `defaultConfig` is also what the annotation
`proxy.istio.io/config` of a pod holds."""
_PODS = """Also what stands in `spec.template` of a Deployment, StatefulSet, DaemonSet or ReplicaSet. Environment,
probes, files, user, folder and limits are there for images that a scenario runs (docker runtime) and, as far as a
program of this machine can have them, for `commands:`; stand-ins heed none of them."""
_REFUSED_PODS = """ambient mode (`istio.io/dataplane-mode: ambient`); in containers, `TPROXY` in the annotation
`sidecar.istio.io/interceptionMode` or in a ProxyConfig; tracers in `proxy.istio.io/config` other than Zipkin; the
annotation `sidecar.istio.io/bootstrapOverride`, `lo` in `traffic.sidecar.istio.io/excludeInterfaces`, and
`inject.istio.io/templates` of others than `sidecar` and `gateway`; where an image runs, volumes of nodes and of
storage (`hostPath`, `csi`, ...)"""
_AMBIENT = "classes of ambient mode in `gatewayClassName` (`istio-waypoint`, `istio-east-west`, ...)"
_FILTERS = "filters of Istio's own Envoy in a patch (`io.istio.*`, `stats.PluginConfig`, ...)"

NOTES: Mapping[Kind, str] = {
    ("", "MeshConfig"): _MESH_CONFIG,
    ("", "Namespace"): "Its labels count: injection, selectors of namespaces, discovery selectors.",
    ("", "Node"): "Its labels count: where pods are scheduled, and their locality.",
    ("", "ServiceAccount"): "Its name counts, as an identity.",
    (
        "",
        "ConfigMap",
    ): "Mounted ones, those that policies name, and Istio's MeshConfig (`istio` in `istio-system`).",
    ("", "Secret"): "Mounted ones, and those that policies name (`credentialName`, `certificateRefs`).",
    ("", "Pod"): _PODS,
}
"""What is to be known of a kind."""

VALUES: Mapping[Kind, str] = {
    ("", "Pod"): _REFUSED_PODS,
    ("", "Service"): "IPv6 in `clusterIP` or first in `ipFamilies`",
    (GATEWAY_API, "Gateway"): _AMBIENT,
    (NETWORKING, "EnvoyFilter"): _FILTERS,
}
"""What is refused for its value, in words."""
