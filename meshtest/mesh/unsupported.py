"""Parts of supported kinds that nothing acts on: each is refused by name, with the reason.

Some only Istio's own build of Envoy can do: an EnvoyFilter that adds such a filter would be silently without effect,
since stock Envoy gets istiod's configuration without it. Others the pinned istiod reads and then leaves alone: a test
that has them would prove nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshtest.errors import ManifestError
from meshtest.mesh.kinds import (
    EXTENSIONS,
    GATEWAY_API,
    GATEWAY_API_X,
    NETWORKING,
    NO_AGENT,
    TELEMETRY,
    combined,
    group_of,
)
from meshtest.mesh.yaml_lines import child_path
from meshtest.mesh.yaml_source import nearest_location

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from meshtest.mesh.model import Manifest

ISTIO_FILTERS = ("io.istio.", "istio.", "envoy.tcp.metadataexchange", "stats.")
"""How the names of the message types begin that only Istio's Envoy knows."""
Problem = tuple[str, str]
"""A path and what is wrong there."""
_TYPE_KEYS = ("@type", "type_url", "typeUrl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A field of some kinds that nothing acts on; `[]` in its path is any item of a list."""

    group: str
    kinds: tuple[str, ...]
    path: str
    reason: str
    only_stock: bool = False
    """Whether Istio's own Envoy, which `proxies:` brings, acts on it."""
    as_usual: object = None
    """A value that changes nothing."""
    switch: str = ""
    """Which of istiod's switches makes it act on it."""


MESH_CONFIG = "MeshConfig"
"""Stands as a kind for what is no object."""
_TRUE = ("1", "t", "true")
"""As Go reads it, whatever the case."""
_ALPHA = "PILOT_ENABLE_ALPHA_GATEWAY_API"
_SIDECAR_TLS = "ENABLE_TLS_ON_SIDECAR_INGRESS"
_NO_SESSIONS = "istiod makes nothing of it, so requests of one session go anywhere"
_NO_DEFAULT = "istiod makes nothing of it, so no route attaches by it"
_NOTHING = "istiod makes nothing of it"
_ROUTES = ("HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute")
PARTS = (
    Part(
        group=TELEMETRY,
        kinds=("Telemetry",),
        path="spec.metrics",
        reason="metrics come from istio.stats, a filter of Istio's own Envoy",
        only_stock=True,
    ),
    Part(
        group=GATEWAY_API,
        kinds=("Gateway",),
        path="spec.tls.backend.clientCertificateRef",
        reason="istiod checks it and then shows no certificate to any backend",
    ),
    Part(group=GATEWAY_API, kinds=("Gateway",), path="spec.defaultScope", reason=_NO_DEFAULT),
    Part(group=GATEWAY_API, kinds=_ROUTES, path="spec.useDefaultGateways", reason=_NO_DEFAULT),
    Part(
        group=GATEWAY_API,
        kinds=("HTTPRoute", "GRPCRoute"),
        path="spec.rules[].sessionPersistence",
        reason=_NO_SESSIONS,
    ),
    Part(
        group=GATEWAY_API_X,
        kinds=("XBackendTrafficPolicy",),
        path="spec",
        reason=f"istiod acts on this kind only with {_ALPHA}=true (`engine_env` of a mesh)",
        switch=_ALPHA,
    ),
    Part(
        group=GATEWAY_API_X,
        kinds=("XBackendTrafficPolicy",),
        path="spec.sessionPersistence",
        reason=_NO_SESSIONS,
    ),
    *(
        Part(
            group=NETWORKING,
            kinds=("DestinationRule",),
            path=f"{policy}.outlierDetection.outlierDetectionHttpErrorCodes",
            reason="istiod makes nothing of it, so the usual codes eject",
        )
        for rule in ("spec.trafficPolicy", "spec.subsets[].trafficPolicy")
        for policy in (rule, f"{rule}.portLevelSettings[]")
    ),
    Part(
        group=NETWORKING,
        kinds=("VirtualService",),
        path="spec.tcp[].match[].sourceSubnet",
        reason="istiod makes nothing of it, so the match takes connections from anywhere",
    ),
    *(
        Part(group=NETWORKING, kinds=("Gateway",), path=f"spec.servers[].{path}", reason=reason)
        for path, reason in (
            ("defaultEndpoint", f"{_NOTHING}; a VirtualService says where requests go"),
            ("port.targetPort", f"{_NOTHING}; the gateway's Service says where its ports lead"),
            (
                "tls.tlsCertificates[].caCertificates",
                f"{_NOTHING}; `caCertificates` of `tls` verifies clients",
            ),
        )
    ),
    *(
        Part(group=NETWORKING, kinds=("Sidecar",), path=f"spec.{each}[].port.targetPort", reason=_NOTHING)
        for each in ("egress", "ingress")
    ),
    *(
        Part(
            group=NETWORKING,
            kinds=("Sidecar",),
            path=f"spec.{pool}.http.h2UpgradePolicy",
            reason=f"{_NOTHING} on this side; `useClientProtocol` has applications spoken to as callers speak",
            as_usual="DEFAULT",
        )
        for pool in ("inboundConnectionPool", "ingress[].connectionPool")
    ),
    Part(
        group=NETWORKING,
        kinds=("Sidecar",),
        path="spec.ingress[].tls",
        reason=f"istiod acts on it only with {_SIDECAR_TLS}=true (`engine_env` of a mesh)",
        switch=_SIDECAR_TLS,
    ),
    Part(
        group=NETWORKING,
        kinds=("EnvoyFilter",),
        path="spec.configPatches[].match.listener.portName",
        reason=f"{_NOTHING}, so the match takes listeners of any port; give `portNumber`",
    ),
    Part(group=EXTENSIONS, kinds=("TrafficExtension",), path="spec.wasm", reason=NO_AGENT),
    *(
        Part(
            group="",
            kinds=(MESH_CONFIG,),
            path=path,
            reason="redirect rules lead to the usual port",
            as_usual=port,
        )
        for path, port in (("proxyListenPort", 15001), ("proxyInboundListenPort", 15006))
    ),
    Part(
        group="",
        kinds=(MESH_CONFIG,),
        path="enableEnvoyAccessLogService",
        reason="no Envoy knows the service; name a provider with envoyHttpAls in a Telemetry",
        as_usual=False,
    ),
    Part(
        group="",
        kinds=(MESH_CONFIG,),
        path="extensionProviders[].opencensus",
        reason="istiod makes nothing of it, so no spans are sent; use opentelemetry",
    ),
)
"""The ones that a path tells."""


def only_istios(type_url: str) -> bool:
    """Whether a type of a filter's configuration is one of Istio's own Envoy."""
    return type_url.rpartition("/")[2].startswith(ISTIO_FILTERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What more than usual acts on parts of a mesh."""

    own_envoy: bool = False
    """Whether pods have Istio's own Envoy."""
    switches: Mapping[str, str] = field(default_factory=dict)
    """Of istiod."""

    def has(self, part: Part) -> bool:
        """Whether something acts on a part after all."""
        return (part.only_stock and self.own_envoy) or (
            bool(part.switch) and self.switches.get(part.switch, "").lower() in _TRUE
        )


def check_parts(manifests: Iterable[Manifest], abilities: Abilities) -> None:
    """Raise one ManifestError for all parts that nothing acts on."""
    errors = [error for manifest in manifests for error in _errors(manifest, abilities)]
    if errors:
        raise combined(errors)


def unsupported_settings(config: Mapping[str, Any]) -> list[Problem]:
    """What nothing acts on in a MeshConfig."""
    return list(_problems("", MESH_CONFIG, config, Abilities()))


def _errors(manifest: Manifest, abilities: Abilities) -> Iterator[ManifestError]:
    group, kind = group_of(manifest.ref.api_version), manifest.ref.kind
    for path, reason in _problems(group, kind, manifest.body, abilities):
        yield _error(manifest, path, reason)
    if not abilities.own_envoy and kind == "EnvoyFilter":
        for path, name in _types(manifest.body.get("spec"), "spec"):
            if only_istios(name):
                plain = name.rpartition("/")[2]
                yield _error(
                    manifest, path, f"{plain} is a filter of Istio's own Envoy, and stock Envoy has it not"
                )


def _problems(group: str, kind: str, body: Mapping[str, Any], abilities: Abilities) -> Iterator[Problem]:
    for part in PARTS:
        if part.group == group and kind in part.kinds and not abilities.has(part):
            for path, value in _found(body, part.path.split(".")):
                if value not in (None, "", [], {}) and value != part.as_usual:
                    yield path, part.reason


def _found(value: Any, words: list[str], path: str = "") -> Iterator[tuple[str, Any]]:
    """What a value has at a path, each with its place."""
    if not words:
        yield path, value
        return
    first, *rest = words
    inner = value.get(first.removesuffix("[]")) if isinstance(value, dict) else None
    place = child_path(path, first.removesuffix("[]"))
    if not first.endswith("[]"):
        yield from _found(inner, rest, place)
    elif isinstance(inner, list):
        for index, each in enumerate(inner):
            yield from _found(each, rest, f"{place}[{index}]")


def _types(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Where a value names the type of a message."""
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield from _types(each, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, each in value.items():
            place = child_path(path, key)
            if key in _TYPE_KEYS and isinstance(each, str):
                yield place, each
            else:
                yield from _types(each, place)


def _error(manifest: Manifest, path: str, problem: str) -> ManifestError:
    location = nearest_location(manifest.lines, path, manifest.location)
    return ManifestError(f"unsupported: {problem}", location=location, key=path)
