"""What of a pod's ProxyConfig its Envoy is started with: runtime values, a tracer, a name, how connections reach it.

MeshConfig's `defaultConfig`, and above it the annotation `proxy.istio.io/config`; ProxyConfig resources have of all
this only the environment, where the agent finds whether it asks for further roots. The rest istiod goes by, which puts
it together by itself. A running Envoy keeps what it started with, so a change is another pod.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshtest.errors import ManifestError
from meshtest.mesh.fields import fields_of
from meshtest.mesh.injection import CANONICAL_NAME, MODE
from meshtest.mesh.selectors import matches
from meshtest.mesh.yaml_source import documents

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshtest.mesh.model import Manifest, Pod

ANNOTATION = "proxy.istio.io/config"
_AT_START = ("runtimeValues", "tracing")
_NAMED_BY = ("serviceCluster", "tracingServiceName")
"""One or the other: what the proxy is called in spans."""
_REQUEST_ID = "requestId"
_APP = ("app", "app.kubernetes.io/name", CANONICAL_NAME)
TRACERS = ("lightstep", "datadog", "stackdriver", "openCensusAgent")


TAKES_ROOTS = "PROXY_CONFIG_XDS_AGENT"
"""In an agent's environment: it asks istiod for roots that it trusts besides that of the mesh."""

KNOWS_ITSELF = "ISTIO_META_ENABLE_SELF_DISCOVERY"
"""The proxy is told of the pods of its own workload, by which it routes within zones."""

HIDES_METRICS = "METRICS_LOCALHOST_ACCESS_ONLY"
"""What the proxy counts is told inside its pod only."""


def proxy_config(
    pod: Pod, default: Mapping[str, Any], resources: Sequence[Manifest] = (), root_namespace: str = ""
) -> dict[str, Any]:
    """What a pod's Envoy is started with; raises ManifestError for an annotation that is no ProxyConfig.

    Args:
        pod: whose it is.
        default: MeshConfig's.
        resources: ProxyConfigs, the oldest first.
        root_namespace: where those stand that are for everybody.
    """
    own = _annotated(pod)
    found: dict[str, Any] = {}
    for key in _AT_START:
        value = {**_mapping(default.get(key)), **_mapping(own.get(key))}
        if value:
            found[key] = value
    if mode := own.get(MODE) or default.get(MODE):
        found[MODE] = str(mode)
    for place in (own, default):
        named = [(key, str(place[key])) for key in _NAMED_BY if place.get(key)]
        if named:
            found |= dict(named[:1])
            break
    if _without_request_ids(default, own):
        found["proxyHeaders"] = {_REQUEST_ID: {"disabled": True}}
    environment = _environment(pod, default, own, resources, root_namespace)
    found |= {name: True for name in (TAKES_ROOTS, KNOWS_ITSELF) if _true(environment.get(name))}
    if environment.get(HIDES_METRICS) == "true":
        # istio/istio: pkg/bootstrap/option/instances.go takes no other word.
        found[HIDES_METRICS] = True
    tracer = next((name for name in TRACERS if name in found.get("tracing", {})), None)
    if tracer is not None:
        raise _wrong(f"spans cannot be sent to {tracer}", "zipkin, or Telemetry with a provider")
    return found


def has_request_ids(pod: Pod) -> bool:
    """Whether a pod's proxy gives requests an `x-request-id`."""
    return "proxyHeaders" not in pod.proxy_config


def takes_roots(pod: Pod) -> bool:
    """Whether a pod's agent asks istiod for further roots."""
    return TAKES_ROOTS in pod.proxy_config


def knows_itself(pod: Pod) -> bool:
    """Whether a pod's proxy is told of the pods of its own workload."""
    return KNOWS_ITSELF in pod.proxy_config


def hides_metrics(pod: Pod) -> bool:
    """Whether what a pod's proxy counts is told inside the pod only."""
    return HIDES_METRICS in pod.proxy_config


def _environment(
    pod: Pod,
    default: Mapping[str, Any],
    own: Mapping[str, Any],
    resources: Sequence[Manifest],
    root_namespace: str,
) -> dict[str, Any]:
    """What the agent finds (istio/istio: pilot/pkg/model/proxy_config.go, EffectiveProxyConfig)."""
    for_all, for_some = {}, {}
    for resource in reversed(resources):  # of several, the oldest holds
        spec = fields_of(resource).mapping("spec")
        said = spec.texts("environmentVariables")
        labels = spec.mapping("selector").texts("matchLabels")
        if not labels:
            for_all[resource.ref.namespace] = said
        elif resource.ref.namespace == pod.namespace and matches(labels, pod.labels):
            for_some = said
    told = _mapping(default.get("proxyMetadata")), _mapping(own.get("proxyMetadata"))
    return {
        **told[0],
        **for_all.get(root_namespace, {}),
        **for_all.get(pod.namespace, {}),
        **told[1],
        **for_some,
    }


def _true(value: object) -> bool:
    """As Go reads a variable."""
    return str(value) in ("1", "t", "T", "true", "TRUE", "True")


def _without_request_ids(*configs: Mapping[str, Any]) -> bool:
    """Whether the last that says something of it has them switched off."""
    said = [_mapping(_mapping(each.get("proxyHeaders")).get(_REQUEST_ID)).get("disabled") for each in configs]
    return [False, *(one for one in said if one is not None)][-1] is True


def zipkin_address(config: Mapping[str, Any]) -> tuple[str, int] | None:
    """Where spans go that no Telemetry says anything about: `tracing.zipkin.address`."""
    address = str(_mapping(_mapping(config.get("tracing")).get("zipkin")).get("address") or "")
    host, _, port = address.rpartition(":")
    return (host, int(port)) if host and port.isdecimal() else None


def proxy_name(pod: Pod) -> str:
    """What a pod's proxy calls itself, in spans for one (istio/istio: pkg/bootstrap/config.go, getServiceCluster)."""
    by = pod.proxy_config.get("tracingServiceName", "")
    canonical = pod.labels.get(CANONICAL_NAME) or pod.workload
    if by == "CANONICAL_NAME_AND_NAMESPACE":
        return f"{canonical}.{pod.namespace}"
    given = canonical if by == "CANONICAL_NAME_ONLY" else pod.proxy_config.get("serviceCluster", "")
    if given not in ("", "istio-proxy"):
        return str(given)
    app = next((pod.labels[key] for key in _APP if key in pod.labels), pod.workload)
    return f"{app}.{pod.namespace}"


def _annotated(pod: Pod) -> Mapping[str, Any]:
    text = pod.annotations.get(ANNOTATION, "")
    try:
        found = [each.value for each in documents(text, ANNOTATION)][:1] or [{}]
    except ManifestError:
        found = [None]
    if not isinstance(found[0], dict):
        raise _wrong("not a mapping", "a ProxyConfig as YAML")
    return found[0]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _wrong(problem: str, expected: str) -> ManifestError:
    return ManifestError(f"{problem}; expected {expected}", key=f"metadata.annotations[{ANNOTATION}]")
