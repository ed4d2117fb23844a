"""A connection at an Envoy: listener, filter chain, TLS, network filters.

listener ──► filter chain ──► TLS terminated? ──► RBAC ──► TCP proxy ──► upstream
                                                      └──► HTTP connection manager (http.py)
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from envoy.extensions.filters.listener.proxy_protocol.v3 import proxy_protocol_pb2
from envoy.extensions.filters.network.ext_authz.v3 import ext_authz_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.extensions.filters.network.rbac.v3 import rbac_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2

from meshtest.explain import authorization, http, tls, tunnels, upstream
from meshtest.explain.chains import chain_of
from meshtest.explain.configuration import type_of, unpacked
from meshtest.explain.here import Branch
from meshtest.explain.model import Crossing, Way
from meshtest.explain.rbac import Subject
from meshtest.traffic.model import Outcome

if TYPE_CHECKING:
    from envoy.config.listener.v3 import listener_pb2

    from meshtest.explain.here import Here
    from meshtest.explain.wire import Wire

_HARMLESS = ("istio.", "io.istio.", "envoy.tcp.metadataexchange", "envoy.extensions.filters.network.sni_cluster",
             "envoy.extensions.filters.network.set_filter_state")  # fmt: skip


def cross(here: Here, listener: listener_pb2.Listener, wire: Wire) -> list[Way]:
    """Every way that a connection can go from an Envoy's listener."""
    crossing = Crossing(
        pod=here.pod.key, workload=here.pod.workload_key, side=here.side, listener=listener.name
    )
    reads = _reads_proxy_protocol(listener)
    if reads is not None:
        if not wire.proxied and not reads.allow_requests_without_proxy_protocol:
            return _ended(crossing, "nothing goes on that does not begin with the PROXY protocol")
        wire = wire.introduced
    else:
        wire = wire.bare
    chain = chain_of(listener, wire)
    if chain is None:
        return _ended(replace(crossing, details="filter_chain_not_found"), "no filter chain takes it")
    crossing = replace(crossing, chain=chain.name)
    sni = wire.layers[0].sni if wire.layers else ""
    context = tls.downstream(chain)
    if context is None:
        return _filtered(here, chain, wire, Subject(wire=wire, sni=sni), crossing)
    shaken = tls.shake(context, here.pod, wire)
    if shaken.problem:
        ended = _ended(replace(crossing, details=shaken.problem), shaken.problem, Outcome.HANDSHAKE_FAILURE)
        return [way.when(shaken.condition) if shaken.condition else way for way in ended]
    crossing = replace(crossing, tls=True, peer=shaken.peer)
    inner = wire.unwrapped()
    found = _filtered(here, chain, inner, Subject(wire=inner, peer=shaken.peer, tls=True, sni=sni), crossing)
    return [way.when(shaken.condition) for way in found] if shaken.condition else found


def _reads_proxy_protocol(listener: listener_pb2.Listener) -> proxy_protocol_pb2.ProxyProtocol | None:
    for found in listener.listener_filters:
        reads = unpacked(found.typed_config, proxy_protocol_pb2.ProxyProtocol)
        if reads is not None:
            return reads
    return None


def _ended(crossing: Crossing, note: str, outcome: Outcome = Outcome.RESET) -> list[Way]:
    return [Way(outcome=outcome, answered_by=crossing.pod, note=note).behind(crossing)]


def _filtered(here: Here, chain: Any, wire: Wire, subject: Subject, crossing: Crossing) -> list[Way]:
    branches = [Branch(crossing=crossing, metadata={})]
    ended: list[Branch] = []
    for found in chain.filters:
        config = _config(here, found)
        manager = unpacked(config, hcm_pb2.HttpConnectionManager)
        if manager is not None:
            return [way for one in branches for way in http.manage(here, manager, subject, one)]
        proxy = unpacked(config, tcp_proxy_pb2.TcpProxy)
        if proxy is not None:
            refused = [way for one in ended for way in _refused(here, proxy, wire, one)]
            return refused + [way for one in branches for way in _proxied(here, proxy, wire, one)]
        branches = [after for one in branches for after in _judged(here, config, subject, one)]
        ended += [one for one in branches if one.end is not None]
        branches = [one for one in branches if one.end is None]
    return [way for one in branches for way in _ended(one.crossing, "no filter goes on with it")]


def _refused(here: Here, proxy: Any, wire: Wire, branch: Branch) -> list[Way]:
    """What a filter refuses, it refuses with the first bytes; by then the proxy behind it may have failed already."""
    alive = replace(branch, end=None, crossing=replace(branch.crossing, decisions=(), details=""))
    failed = [way for way in _proxied(here, proxy, wire, alive) if way.outcome is not Outcome.RESPONSE]
    return branch.ways() + [way.when("if that fails before the first bytes are judged") for way in failed]


def _config(here: Here, found: Any) -> Any:
    if found.WhichOneof("config_type") == "config_discovery":
        sent = here.configuration.extension(found.name)
        if sent is not None:
            return sent.typed_config
    return found.typed_config


def _judged(here: Here, config: Any, subject: Subject, branch: Branch) -> list[Branch]:
    """What a network filter makes of a connection."""
    rules = unpacked(config, rbac_pb2.RBAC)
    if rules is not None:
        denied = Way(outcome=Outcome.RESET, answered_by=here.pod.key, note="denied")
        return authorization.judged(here, rules, subject, branch, denied, authorization.NETWORK_RBAC)
    asked = unpacked(config, ext_authz_pb2.ExtAuthz)
    if asked is not None:
        refused = Way(
            outcome=Outcome.RESET, answered_by=here.pod.key, note="refused by the authorization service"
        )
        return authorization.asked(asked, branch, refused)
    if type_of(config).startswith(_HARMLESS):
        return [branch]
    return [branch.when(f"if the network filter {type_of(config)} lets it pass")]


def _proxied(here: Here, proxy: Any, wire: Wire, branch: Branch) -> list[Way]:
    found: list[Way] = []
    tunnel = tunnels.asked_for(proxy)
    for share, cluster in upstream.clusters_of(proxy):
        own = branch if share == 1 else branch.when(f"{share:.3%} by weight", share)
        target = upstream.Target(cluster=cluster, wire=tunnel.around(wire) if tunnel else wire)
        onward = upstream.forwarded(here, target, own.crossing)
        for crossing, ways in tunnel.through(here, wire, onward) if tunnel else onward:
            found += replace(own, crossing=crossing).closed(map(_as_tcp, ways))
    return found


def _as_tcp(way: Way) -> Way:
    """A TCP proxy knows no answer but to close."""
    return way if way.outcome is Outcome.RESPONSE else replace(way, outcome=Outcome.RESET, status=None)
