"""What meshtest adds to istiod's configuration (evidence, faults) and takes away (Istio's own Envoy filters).

Bytes of one resource go in and decorated bytes come out: a pure function. No policy is made or changed here.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import address_pb2, base_pb2, socket_option_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from envoy.extensions.network.dns_resolver.cares.v3 import cares_dns_resolver_pb2 as cares_pb2
from udpa.type.v1 import typed_struct_pb2

from meshtest.envoy import alpn, audits, mirrors
from meshtest.envoy.access_log import Evidence
from meshtest.envoy.bootstrap import SOCKET_MARK, socket_path
from meshtest.envoy.distort import limit_cluster, limit_listener
from meshtest.envoy.faults_filter import fault_filters
from meshtest.envoy.patience import do_not_wait, names_files
from meshtest.envoy.revocation import give_lists, lists_in
from meshtest.mesh.addresses import PORT_PAST_AGENTS, RESOLVER
from meshtest.mesh.names import file_name
from meshtest.mesh.unsupported import only_istios

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableSequence

    from google.protobuf import any_pb2

    from meshtest.envoy.distort import Limits
    from meshtest.envoy.revocation import Lists

_ISTIO_ONLY = frozenset(("istio.metadata_exchange", "istio.stats", "istio_authn", "istio.workload_metadata"))
_ISTIO_MARKER = b"istio"
_BLANK = b"\x01"
_FORMS = 8192


@dataclass(frozen=True)
class Context:
    """The proxy that a resource is for."""

    directory: str
    pod: str
    gateway: bool = False
    native: bool = False
    """Whether its Envoy is Istio's own build, from which nothing is taken."""
    transparent: bool = False
    """Whether it calls its application in the name of who calls (TPROXY)."""
    generation: int = 0
    """Raised to make an Envoy open every connection anew: it changes nothing else."""
    limits: Limits | None = None
    """The TLS that it keeps to while a fault lasts."""
    resolver: str = RESOLVER
    """Where it asks for names."""
    lists: Lists = ()
    """Lists of revoked certificates on its disk."""
    _evidence: dict[str, Evidence] = field(default_factory=dict, compare=False, repr=False)
    _faults: list[hcm_pb2.HttpFilter] = field(default_factory=list, compare=False, repr=False)

    @property
    def beside_the_pod(self) -> tuple[bool, bool, int, Limits | None, str, Lists]:
        """All that decides what becomes of other resources than listeners."""
        return self.native, self.transparent, self.generation, self.limits, self.resolver, self.lists

    def evidence(self, side: str) -> Evidence:
        """The access logs of one side."""
        if side not in self._evidence:
            path = socket_path(self.directory, self.pod, "access")
            self._evidence[side] = Evidence(self.pod, side, path)
        return self._evidence[side]

    def faults(self) -> list[hcm_pb2.HttpFilter]:
        """The fault filters of inbound chains."""
        if not self._faults:
            self._faults.extend(fault_filters(self.directory, self.pod))
        return self._faults


def next_generation(context: Context, limits: Limits | None = None, *, last: bool = False) -> Context:
    """The same proxy, whose Envoy has to open its connections anew, with other limits to its TLS.

    The `last` one after others is the first again: nothing stays behind.
    """
    number = 0 if last and context.generation else context.generation + 1
    return replace(context, generation=number, limits=limits, _evidence={}, _faults=[])


def furnished(context: Context, files: Mapping[str, str]) -> Context:
    """The same proxy with these files on its disk; what it has already goes on with what stood there before."""
    lists = lists_in(files)
    return context if lists == context.lists else replace(context, lists=lists)


def decorate(kind: str, raw: bytes, context: Context) -> bytes:
    """One resource of istiod (`kind` is CDS, LDS, ...) as this proxy shall get it."""
    if kind == "LDS":
        return _listener(raw, context)
    if kind == "CDS":
        return _cluster(raw, context)
    return mirrors.marked(raw) if kind == "RDS" else raw


class Decorator:
    """`decorate` for many proxies, most of which get the same outbound listeners.

    A resource is decorated once for a pod whose name is a blank; a name of the same length put into the blank
    keeps every length inside the serialized message right.
    """

    def __init__(self) -> None:
        self._blank_contexts: dict[Context, Context] = {}
        self._form = functools.lru_cache(maxsize=_FORMS)(decorate)

    def decorate(self, kind: str, raw: bytes, context: Context) -> bytes:
        """As the function `decorate`, to the byte."""
        pod = context.pod.encode()
        if kind not in ("LDS", "CDS") or len(file_name(context.pod)) != len(pod):
            return decorate(kind, raw, context)
        blank = _BLANK * (len(pod) - 1) + b"/"
        blanked = replace(context, pod=blank.decode(), _evidence={}, _faults=[])
        form = self._form(kind, raw, self._blank_contexts.setdefault(blanked, blanked))
        return form.replace(blank, pod).replace(_in_paths(blank), _in_paths(pod))


def _in_paths(pod: bytes) -> bytes:
    return pod.replace(b"/", b"_")


def _listener(raw: bytes, context: Context) -> bytes:
    listener = listener_pb2.Listener.FromString(raw)
    inbound = listener.traffic_direction == base_pb2.INBOUND
    side = "gateway" if context.gateway else "inbound" if inbound else "outbound"
    evidence = context.evidence(side)
    listener.access_log.append(evidence.refused)
    if not context.native:
        _keep_known(listener.listener_filters)
    files = names_files(raw)
    for chain in _chains(listener):
        if files:
            do_not_wait(chain.transport_socket)
        give_lists(chain.transport_socket, context.lists)
        if not context.native:
            _keep_known(chain.filters)
        for network_filter in chain.filters:
            _network_filter(network_filter, context, side)
        if context.generation and side != "outbound":
            _stamp(chain.metadata, context.generation)
    if context.limits and side != "outbound":
        limit_listener(listener, context.limits)
    return bytes(listener.SerializeToString(deterministic=True))


def _chains(listener: listener_pb2.Listener) -> Iterator[listener_pb2.FilterChain]:
    yield from listener.filter_chains
    if listener.HasField("default_filter_chain"):
        yield listener.default_filter_chain


def _network_filter(network_filter: listener_pb2.Filter, context: Context, side: str) -> None:
    config = network_filter.typed_config
    if config.Is(hcm_pb2.HttpConnectionManager.DESCRIPTOR):
        manager = hcm_pb2.HttpConnectionManager.FromString(config.value)
        _http(manager, context, side)
        config.value = manager.SerializeToString(deterministic=True)
    elif config.Is(tcp_proxy_pb2.TcpProxy.DESCRIPTOR):
        proxy = tcp_proxy_pb2.TcpProxy.FromString(config.value)
        proxy.access_log.append(context.evidence(side).tcp)
        config.value = proxy.SerializeToString(deterministic=True)


def _http(manager: hcm_pb2.HttpConnectionManager, context: Context, side: str) -> None:
    manager.access_log.append(context.evidence(side).http)
    audits.keep_apart(manager.http_filters)
    if not context.native:
        alpn.replace(manager.http_filters)
        _keep_known(manager.http_filters)
    if side == "inbound":
        router = manager.http_filters.pop()
        manager.http_filters.extend((*context.faults(), router))


def _cluster(raw: bytes, context: Context) -> bytes:
    files = names_files(raw)
    touched = context.generation or context.transparent or context.lists or files
    if not touched and _ISTIO_MARKER not in raw:
        return raw
    cluster = cluster_pb2.Cluster.FromString(raw)
    if context.transparent and cluster.name.lower().startswith("inbound"):
        _mark_as_diverted(cluster.upstream_bind_config)
    if cluster.HasField("typed_dns_resolver_config"):
        _ask_past_agents(cluster.typed_dns_resolver_config.typed_config, context.resolver)
    for socket in (
        cluster.transport_socket,
        *(one.transport_socket for one in cluster.transport_socket_matches),
    ):
        if files:
            do_not_wait(socket)
        give_lists(socket, context.lists)
    if not context.native:
        _keep_known(cluster.filters)
    if cluster.type == cluster_pb2.Cluster.EDS:
        # Else an ejection takes effect a second late when endpoints have changed just before, as faults change them.
        cluster.common_lb_config.update_merge_window.SetInParent()
    if context.generation:
        _stamp(cluster.metadata, context.generation)
    if context.limits:
        limit_cluster(cluster, context.limits)
    return bytes(cluster.SerializeToString(deterministic=True))


def _mark_as_diverted(binding: address_pb2.BindConfig) -> None:
    """Istiod's listeners do it, but what the bootstrap says of Envoy's own calls would lie over it."""
    so_mark, before_binding = 36, socket_option_pb2.SocketOption.STATE_PREBIND
    binding.socket_options.add(level=1, name=so_mark, int_value=SOCKET_MARK, state=before_binding)


def _ask_past_agents(config: any_pb2.Any, ip: str) -> None:
    """Istiod's settings of a cluster's resolver lie over those of the bootstrap, which say where Envoy asks."""
    if config.Is(cares_pb2.CaresDnsResolverConfig.DESCRIPTOR):
        resolver = cares_pb2.CaresDnsResolverConfig.FromString(config.value)
        if not resolver.resolvers:
            resolver.resolvers.add().socket_address.CopyFrom(
                address_pb2.SocketAddress(address=ip, port_value=PORT_PAST_AGENTS)
            )
            config.value = resolver.SerializeToString(deterministic=True)


def _keep_known(filters: MutableSequence[Any]) -> None:
    """Leave out what only Istio's own Envoy build has."""
    for index in reversed(range(len(filters))):
        if _only_istio(filters[index]):
            del filters[index]


def _only_istio(chosen: Any) -> bool:
    if chosen.name in _ISTIO_ONLY:
        return True
    config = chosen.typed_config
    if config.Is(typed_struct_pb2.TypedStruct.DESCRIPTOR):
        return only_istios(typed_struct_pb2.TypedStruct.FromString(config.value).type_url)
    return only_istios(config.type_url)


def _stamp(metadata: base_pb2.Metadata, generation: int) -> None:
    metadata.filter_metadata["meshtest"].update({"generation": generation})
