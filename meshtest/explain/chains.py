"""Which listener and which filter chain of an Envoy take a connection.

envoy: source/common/listener_manager/{active_tcp_listener,filter_chain_manager_impl}.cc
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from envoy.config.listener.v3 import listener_components_pb2, listener_pb2

    from meshtest.explain.wire import Wire

    Listener: TypeAlias = listener_pb2.Listener
    Chain: TypeAlias = listener_components_pb2.FilterChain

_ANY = frozenset(("0.0.0.0", "::"))  # noqa: S104 - compared, never bound
_INSPECTED = frozenset(("http/1.0", "http/1.1", "h2c"))


def bound(listeners: Iterable[Listener], address: str, port: int) -> Listener | None:
    """The listener whose socket a connection to this address reaches."""
    return _at((one for one in listeners if _binds(one)), address, port)


def redirected(listeners: Sequence[Listener], entry: int, wire: Wire) -> Listener | None:
    """The listener for a connection that a redirect brought to the port `entry`."""
    first = _at((one for one in listeners if _binds(one)), "0.0.0.0", entry)  # noqa: S104 - as above
    if first is None or not first.use_original_dst.value:
        return first
    return _at(listeners, wire.address, wire.port, but=first) or first


def is_for_any_port(listener: Listener) -> bool:
    """Whether it takes what a redirect brought and no other listener is there for."""
    return bool(listener.use_original_dst.value)


def _binds(listener: Listener) -> bool:
    return not listener.HasField("bind_to_port") or bool(listener.bind_to_port.value)


def _at(
    listeners: Iterable[Listener], address: str, port: int, but: Listener | None = None
) -> Listener | None:
    """The one for the very address, else the one for all addresses of the port."""
    anywhere = None
    for listener in listeners:
        if listener is but:
            continue
        for own in (listener.address, *(more.address for more in listener.additional_addresses)):
            if own.socket_address.port_value != port:
                continue
            if own.socket_address.address == address:
                return listener
            if own.socket_address.address in _ANY:
                anywhere = anywhere or listener
    return anywhere


def chain_of(listener: Listener, wire: Wire) -> Chain | None:
    """The filter chain for a connection; None where Envoy closes it."""
    default = listener.default_filter_chain if listener.HasField("default_filter_chain") else None
    seen = _Seen(listener, wire)
    left = list(listener.filter_chains)
    for narrow in _STEPS:
        left = narrow(left, seen)
    return left[0] if left else default


class _Seen:
    """What the listener's filters find out about a connection."""

    def __init__(self, listener: Listener, wire: Wire) -> None:
        inspects = {one.name.rpartition(".")[2]: one for one in listener.listener_filters}
        tls, http = inspects.get("tls_inspector"), inspects.get("http_inspector")
        knows_tls = tls is not None and not _disabled(tls, wire.port)
        self.wire = wire
        self.transport = wire.transport if knows_tls else "raw_buffer"
        outer = wire.layers[0] if wire.layers and knows_tls else None
        self.server_name = outer.sni.lower() if outer else ""
        self.protocols: tuple[str, ...] = outer.alpn if outer else ()
        plain = not wire.layers and http is not None and not _disabled(http, wire.port)
        if plain and wire.spoken in _INSPECTED:
            self.protocols = (wire.spoken,)


def _disabled(listener_filter: Any, port: int) -> bool:
    predicate = listener_filter.filter_disabled
    return bool(predicate.WhichOneof("rule")) and _holds(predicate, port)


def _holds(predicate: Any, port: int) -> bool:
    """envoy.config.listener.v3.ListenerFilterChainMatchPredicate."""
    kind = predicate.WhichOneof("rule")
    if kind == "or_match":
        return any(_holds(one, port) for one in predicate.or_match.rules)
    if kind == "and_match":
        return all(_holds(one, port) for one in predicate.and_match.rules)
    if kind == "not_match":
        return not _holds(predicate.not_match, port)
    if kind == "destination_port_range":
        return bool(predicate.destination_port_range.start <= port < predicate.destination_port_range.end)
    return bool(predicate.any_match)


# Envoy goes from criterion to criterion and never back: what matches one best is all that the next one looks at.


def _by(
    chains: list[Chain], keys: Callable[[Any], Sequence[Any]], wanted: Iterable[Any], neutral: Any = None
) -> list[Chain]:
    """The chains that name the first wanted value that any names, else those that name none."""
    for value in wanted:
        found = [one for one in chains if value in keys(one.filter_chain_match)]
        if found:
            return found
    return [
        one for one in chains if not keys(one.filter_chain_match) or neutral in keys(one.filter_chain_match)
    ]


def _by_port(chains: list[Chain], seen: _Seen) -> list[Chain]:
    def keys(match: Any) -> Sequence[int]:
        return (match.destination_port.value,) if match.HasField("destination_port") else ()

    return _by(chains, keys, (seen.wire.port,))


def _by_address(chains: list[Chain], seen: _Seen) -> list[Chain]:
    return _by_range(chains, lambda match: match.prefix_ranges, seen.wire.address)


def _by_source(chains: list[Chain], seen: _Seen) -> list[Chain]:
    return _by_range(chains, lambda match: match.source_prefix_ranges, seen.wire.source)


def _by_direct_source(chains: list[Chain], seen: _Seen) -> list[Chain]:
    return _by_range(chains, lambda match: match.direct_source_prefix_ranges, seen.wire.source)


def _by_range(chains: list[Chain], keys: Callable[[Any], Any], address: str) -> list[Chain]:
    """Those with the longest range that holds the address."""
    own = ipaddress.ip_address(address)
    best, found = -1, list[Any]()
    for chain in chains:
        ranges = [_network(one) for one in keys(chain.filter_chain_match)]
        fits = [one.prefixlen for one in ranges if one.version == own.version and own in one]
        length = max(fits, default=-1) if ranges else 0
        if length > best:
            best, found = length, [chain]
        elif length == best and length >= 0:
            found.append(chain)
    return found


def _network(found: Any) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(f"{found.address_prefix}/{found.prefix_len.value}", strict=False)


def _by_name(chains: list[Chain], seen: _Seen) -> list[Chain]:
    labels = seen.server_name.split(".")
    wild = [f"*.{'.'.join(labels[at:])}" for at in range(1, len(labels))]
    return _by(
        chains, lambda match: match.server_names, (seen.server_name, *wild) if seen.server_name else ()
    )


def _by_transport(chains: list[Chain], seen: _Seen) -> list[Chain]:
    def keys(match: Any) -> Sequence[str]:
        return (match.transport_protocol,) if match.transport_protocol else ()

    return _by(chains, keys, (seen.transport,))


def _by_application(chains: list[Chain], seen: _Seen) -> list[Chain]:
    return _by(chains, lambda match: match.application_protocols, seen.protocols)


def _by_source_type(chains: list[Chain], seen: _Seen) -> list[Chain]:
    own = seen.wire.source == seen.wire.address or seen.wire.source.startswith("127.")

    def keys(match: Any) -> Sequence[int]:
        return (match.source_type,) if match.source_type else ()

    return _by(chains, keys, (1 if own else 2,))


def _by_source_port(chains: list[Chain], _: _Seen) -> list[Chain]:
    return [one for one in chains if not one.filter_chain_match.source_ports]


_STEPS = (
    _by_port, _by_address, _by_name, _by_transport, _by_application, _by_direct_source, _by_source_type,
    _by_source, _by_source_port,
)  # fmt: skip
