"""What of a pod's ProxyConfig its Envoy is started with, and istiod never hears of: runtime values, a tracer, a name.

MeshConfig's `defaultConfig`, and above it the annotation `proxy.istio.io/config`; ProxyConfig resources have neither.
The rest istiod goes by, which puts it together by itself. A running Envoy keeps what it started with, so a change is
another pod.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from meshtest.errors import ManifestError
from meshtest.mesh.injection import CANONICAL_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.mesh.model import Pod

ANNOTATION = "proxy.istio.io/config"
_AT_START = ("runtimeValues", "tracing")
_NAMED_BY = ("serviceCluster", "tracingServiceName")
"""One or the other: what the proxy is called in spans."""
_REQUEST_ID = "requestId"
_APP = ("app", "app.kubernetes.io/name", CANONICAL_NAME)
TRACERS = ("lightstep", "datadog", "stackdriver", "openCensusAgent")


def proxy_config(pod: Pod, default: Mapping[str, Any]) -> dict[str, Any]:
    """What a pod's Envoy is started with; raises ManifestError for an annotation that is no ProxyConfig."""
    own = _annotated(pod)
    found: dict[str, Any] = {}
    for key in _AT_START:
        value = {**_mapping(default.get(key)), **_mapping(own.get(key))}
        if value:
            found[key] = value
    for place in (own, default):
        named = [(key, str(place[key])) for key in _NAMED_BY if place.get(key)]
        if named:
            found |= dict(named[:1])
            break
    if _without_request_ids(default, own):
        found["proxyHeaders"] = {_REQUEST_ID: {"disabled": True}}
    tracer = next((name for name in TRACERS if name in found.get("tracing", {})), None)
    if tracer is not None:
        raise _wrong(f"spans cannot be sent to {tracer}", "zipkin, or Telemetry with a provider")
    return found


def has_request_ids(pod: Pod) -> bool:
    """Whether a pod's proxy gives requests an `x-request-id`."""
    return "proxyHeaders" not in pod.proxy_config


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
        found = yaml.safe_load(text) if text else {}
    except yaml.YAMLError:
        found = None
    if not isinstance(found, dict):
        raise _wrong("not a mapping", "a ProxyConfig as YAML")
    return found


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _wrong(problem: str, expected: str) -> ManifestError:
    return ManifestError(f"{problem}; expected {expected}", key=f"metadata.annotations[{ANNOTATION}]")
