"""What Istio's injector decides: who gets a sidecar, which labels it leaves, what is intercepted.

Read in istio/istio: pkg/kube/inject/inject.go, the injection templates of the istio-discovery chart, and
tools/istio-iptables for the annotations.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshtest.errors import ManifestError
from meshtest.mesh.model import ROOT_NAMESPACE, TLS_MODE_LABEL, PodKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshtest.mesh.model import Container, Pod

INJECT = "sidecar.istio.io/inject"
TEMPLATES = "inject.istio.io/templates"
INTERCEPTION_MODE = "sidecar.istio.io/interceptionMode"
MODE = "interceptionMode"
"""Its name in a ProxyConfig, which holds where there is no annotation."""
REDIRECT, TPROXY, NONE = "REDIRECT", "TPROXY", "NONE"
TRAFFIC = "traffic.sidecar.istio.io/"
AMBIENT = "istio.io/dataplane-mode"
GATEWAYS = ("ingressgateway", "egressgateway", "eastwestgateway")
PROXY_CONTAINER = "istio-proxy"
NEVER_INJECTED = frozenset(("kube-system", "kube-public", "kube-node-lease", "local-path-storage"))
POD_INTERFACE = "eth0"
LOOPBACK_INTERFACE = "lo"
_INTERFACE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,14}")
"""As istiod's validation has it (istio/istio: pkg/util/net/ip.go)."""
CANONICAL_NAME = "service.istio.io/canonical-name"
CANONICAL_REVISION = "service.istio.io/canonical-revision"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A pod before injection."""

    namespace: str
    workload: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    namespace_labels: Mapping[str, str]
    containers: tuple[Container, ...] = ()
    host_network: bool = False
    root_namespace: str = ROOT_NAMESPACE


@dataclass(frozen=True, slots=True, kw_only=True)
class InterceptionRules:
    """Which connections of a pod go through its sidecar; None for "all"."""

    exclude_inbound_ports: tuple[int, ...] = (15008, 15020, 15021, 15090)
    include_inbound_ports: tuple[int, ...] | None = None
    exclude_outbound_ports: tuple[int, ...] = ()
    include_outbound_ports: tuple[int, ...] = ()
    exclude_outbound_ranges: tuple[str, ...] = ()
    include_outbound_ranges: tuple[str, ...] | None = None
    transparent: bool = False
    """TPROXY: applications see who calls, not their sidecar."""


def pod_kind(pod: Candidate) -> PodKind:
    """What the injector makes of a pod.

    Meshtest injects unless told not to, also where no namespace carries `istio-injection: enabled`: manifests
    under test often leave the labels of namespaces to others.
    """
    if _is_hand_made_gateway(pod):
        return PodKind.GATEWAY
    if not _is_injected(pod):
        return PodKind.PLAIN
    templates = [name.strip() for name in pod.annotations.get(TEMPLATES, "").split(",")]
    return PodKind.GATEWAY if "gateway" in templates else PodKind.SIDECAR


def injected_labels(kind: PodKind, labels: Mapping[str, str], workload: str) -> dict[str, str]:
    """The labels of a pod after injection."""
    if kind is PodKind.PLAIN:
        return dict(labels)
    name = _first(labels, (CANONICAL_NAME, "app.kubernetes.io/name", "app"), workload)
    revision = _first(labels, (CANONICAL_REVISION, "app.kubernetes.io/version", "version"), "latest")
    added = {CANONICAL_NAME: name[:63].strip("-_."), CANONICAL_REVISION: revision}
    if kind is PodKind.SIDECAR:
        added[TLS_MODE_LABEL] = labels.get(TLS_MODE_LABEL) or "istio"
    return {**labels, **added}


def interception_mode(pod: Pod) -> str:
    """REDIRECT, TPROXY or NONE: how connections come to a pod's sidecar (annotation, else ProxyConfig)."""
    if pod.kind is not PodKind.SIDECAR:
        return NONE
    own = pod.annotations.get(INTERCEPTION_MODE)
    mode = own or str(pod.proxy_config.get(MODE, REDIRECT))
    if mode not in (REDIRECT, TPROXY, NONE):
        place = INTERCEPTION_MODE if own else "proxy.istio.io/config"
        raise _wrong(place, f"there is no {MODE} {mode!r}", "REDIRECT, TPROXY or NONE")
    return mode


def interception(pod: Pod) -> InterceptionRules | None:
    """The redirect rules of a pod, None if it has none; raises ManifestError for wrong annotations."""
    mode = interception_mode(pod)
    if mode == NONE:
        return None
    notes = pod.annotations
    default = InterceptionRules()
    excluded = _ports(notes, "excludeInboundPorts")
    if POD_INTERFACE in excluded_interfaces(notes):
        # All that comes and goes, but for a pod's calls of itself.
        return InterceptionRules(
            include_inbound_ports=(), include_outbound_ranges=(), transparent=mode == TPROXY
        )
    return InterceptionRules(
        exclude_inbound_ports=tuple(sorted({*default.exclude_inbound_ports, *excluded})),
        include_inbound_ports=_ports_or_all(notes, "includeInboundPorts"),
        exclude_outbound_ports=_ports(notes, "excludeOutboundPorts"),
        include_outbound_ports=_ports(notes, "includeOutboundPorts"),
        exclude_outbound_ranges=_ranges(notes, "excludeOutboundIPRanges"),
        include_outbound_ranges=_ranges_or_all(notes, "includeOutboundIPRanges"),
        transparent=mode == TPROXY,
    )


def excluded_interfaces(notes: Mapping[str, str]) -> tuple[str, ...]:
    """The network interfaces past which nothing is intercepted; a pod here has `lo` and `eth0`."""
    name = "excludeInterfaces"
    words = _words(notes, name)
    for word in words:
        if not _INTERFACE.fullmatch(word):
            problem = f"{word!r} is no name of a network interface"
            raise _wrong(TRAFFIC + name, problem, "names with commas between them")
    return tuple(words)


def is_ambient(labels: Mapping[str, str]) -> bool:
    """Whether labels ask for ambient mode, which has no sidecars."""
    return labels.get(AMBIENT) == "ambient"


def _is_hand_made_gateway(pod: Candidate) -> bool:
    """Whether the manifest itself runs the proxy as a router, as charts without injection do."""
    if any(box.name == PROXY_CONTAINER and "router" in box.args for box in pod.containers):
        return True
    asked = pod.labels.get(INJECT, pod.annotations.get(INJECT)) == "true"
    return pod.labels.get("istio") in GATEWAYS and TEMPLATES not in pod.annotations and not asked


def _is_injected(pod: Candidate) -> bool:
    if pod.host_network or pod.namespace in NEVER_INJECTED:
        return False
    if pod.namespace_labels.get("istio-injection") == "disabled":
        return False
    asked = pod.labels.get(INJECT, pod.annotations.get(INJECT, ""))
    if asked in {"true", "false"}:
        return asked == "true"
    return pod.namespace != pod.root_namespace


def _first(labels: Mapping[str, str], keys: Iterable[str], default: str) -> str:
    return next((labels[key] for key in keys if labels.get(key)), default)


def _words(notes: Mapping[str, str], name: str) -> list[str]:
    return [word.strip() for word in notes.get(TRAFFIC + name, "").split(",") if word.strip()]


def _ports(notes: Mapping[str, str], name: str) -> tuple[int, ...]:
    words = _words(notes, name)
    for word in words:
        if not (word.isdecimal() and 0 < int(word) <= 65535):
            raise _wrong(TRAFFIC + name, f"{word!r} is no port", "ports with commas between them")
    return tuple(int(word) for word in words)


def _ports_or_all(notes: Mapping[str, str], name: str) -> tuple[int, ...] | None:
    return None if notes.get(TRAFFIC + name, "*").strip() == "*" else _ports(notes, name)


def _ranges(notes: Mapping[str, str], name: str) -> tuple[str, ...]:
    words = _words(notes, name)
    for word in words:
        try:
            ipaddress.IPv4Network(word, strict=False)
        except ValueError:
            problem = f"{word!r} is no IPv4 range"
            raise _wrong(TRAFFIC + name, problem, "CIDR ranges with commas between them") from None
    return tuple(words)


def _ranges_or_all(notes: Mapping[str, str], name: str) -> tuple[str, ...] | None:
    return None if notes.get(TRAFFIC + name, "*").strip() == "*" else _ranges(notes, name)


def _wrong(annotation: str, problem: str, expected: str) -> ManifestError:
    return ManifestError(f"{problem}; expected {expected}", key=f"metadata.annotations[{annotation}]")
