"""What of a pod's ProxyConfig its Envoy is started with, and istiod never hears of: runtime values, a tracer.

MeshConfig's `defaultConfig`, and above it the annotation `proxy.istio.io/config`; ProxyConfig resources have neither.
The rest istiod goes by, which puts it together by itself. A running Envoy keeps what it started with, so a change is
another pod.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from meshtest.errors import ManifestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.mesh.model import Pod

ANNOTATION = "proxy.istio.io/config"
_AT_START = ("runtimeValues", "tracing")
TRACERS = ("lightstep", "datadog", "stackdriver", "openCensusAgent")


def proxy_config(pod: Pod, default: Mapping[str, Any]) -> dict[str, Any]:
    """What a pod's Envoy is started with; raises ManifestError for an annotation that is no ProxyConfig."""
    own = _annotated(pod)
    found = {}
    for key in _AT_START:
        value = {**_mapping(default.get(key)), **_mapping(own.get(key))}
        if value:
            found[key] = value
    tracer = next((name for name in TRACERS if name in found.get("tracing", {})), None)
    if tracer is not None:
        raise _wrong(f"spans cannot be sent to {tracer}", "zipkin, or Telemetry with a provider")
    return found


def zipkin_address(config: Mapping[str, Any]) -> tuple[str, int] | None:
    """Where spans go that no Telemetry says anything about: `tracing.zipkin.address`."""
    address = str(_mapping(_mapping(config.get("tracing")).get("zipkin")).get("address") or "")
    host, _, port = address.rpartition(":")
    return (host, int(port)) if host and port.isdecimal() else None


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
