"""What the control plane wants every proxy to have, and how one message of it looks on the wire."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from envoy.service.discovery.v3 import discovery_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TYPES = "type.googleapis.com/"
TYPE_URLS: Mapping[str, str] = {
    "CDS": _TYPES + "envoy.config.cluster.v3.Cluster",
    "EDS": _TYPES + "envoy.config.endpoint.v3.ClusterLoadAssignment",
    "LDS": _TYPES + "envoy.config.listener.v3.Listener",
    "RDS": _TYPES + "envoy.config.route.v3.RouteConfiguration",
    "ECDS": _TYPES + "envoy.config.core.v3.TypedExtensionConfig",
    "SDS": _TYPES + "envoy.extensions.transport_sockets.tls.v3.Secret",
}
KINDS: Mapping[str, str] = {url: kind for kind, url in TYPE_URLS.items()}
WILDCARD_KINDS = frozenset(("CDS", "LDS"))


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource: as the engine gave it, and as the proxy gets it."""

    raw: bytes
    value: bytes
    version: str

    @classmethod
    def of(cls, raw: bytes, value: bytes) -> Resource:
        """With a version that depends on the contents only, so that it survives a restart of the server."""
        return cls(raw, value, hashlib.blake2b(value, digest_size=8).hexdigest())


@dataclass(slots=True)
class Changes:
    """Names whose resource changed, by kind."""

    changed: dict[str, set[str]] = field(default_factory=dict)
    removed: dict[str, set[str]] = field(default_factory=dict)

    def touches(self, *kinds: str) -> bool:
        """Whether any resource of these kinds changed."""
        return any(self.changed.get(kind) or self.removed.get(kind) for kind in kinds)

    def sets(self, kind: str) -> bool:
        """Whether a resource of this kind is new or changed."""
        return bool(self.changed.get(kind))

    def __bool__(self) -> bool:
        return any(self.changed.values()) or any(self.removed.values())


def message(
    kind: str, nonce: str, resources: Iterable[tuple[str, Resource]], removed: Iterable[str]
) -> discovery_pb2.DeltaDiscoveryResponse:
    """A delta response with these resources."""
    url = TYPE_URLS[kind]
    response = discovery_pb2.DeltaDiscoveryResponse(
        type_url=url, nonce=nonce, removed_resources=sorted(removed)
    )
    for name, resource in resources:
        added = response.resources.add(name=name, version=resource.version)
        added.resource.type_url = url
        added.resource.value = resource.value
    return response
