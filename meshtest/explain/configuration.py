"""The Envoy configuration of one proxy, taken apart as far as it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import extension_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")


class Configuration:
    """Resources by name; each is parsed when it is first asked for."""

    def __init__(self, resources: Mapping[str, Mapping[str, bytes]]) -> None:
        self._raw = resources
        self._parsed: dict[tuple[str, str], Any] = {}

    @property
    def listeners(self) -> list[listener_pb2.Listener]:
        """All listeners."""
        return [self._get("LDS", name, listener_pb2.Listener) for name in self._raw.get("LDS", {})]

    def cluster(self, name: str) -> cluster_pb2.Cluster | None:
        """A cluster; None if there is none of this name."""
        return self._get("CDS", name, cluster_pb2.Cluster)

    def routes(self, name: str) -> route_pb2.RouteConfiguration | None:
        """A route configuration that a listener names."""
        return self._get("RDS", name, route_pb2.RouteConfiguration)

    def endpoints(self, name: str) -> endpoint_pb2.ClusterLoadAssignment | None:
        """The endpoints that a cluster names."""
        return self._get("EDS", name, endpoint_pb2.ClusterLoadAssignment)

    def extension(self, name: str) -> extension_pb2.TypedExtensionConfig | None:
        """The configuration of a filter that is sent by itself."""
        return self._get("ECDS", name, extension_pb2.TypedExtensionConfig)

    def _get(self, kind: str, name: str, message: type[T]) -> Any:
        key = (kind, name)
        if key not in self._parsed:
            raw = self._raw.get(kind, {}).get(name)
            self._parsed[key] = None if raw is None else message.FromString(raw)  # type: ignore[attr-defined]  # protobuf
        return self._parsed[key]


def unpacked(packed: Any, message: Any) -> Any:
    """What a google.protobuf.Any holds, if it is of this type; else None."""
    return message.FromString(packed.value) if packed.Is(message.DESCRIPTOR) else None


def type_of(packed: Any) -> str:
    """The full name of what a google.protobuf.Any holds."""
    return str(packed.type_url).rpartition("/")[2]
