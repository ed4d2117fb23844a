"""Which virtual host and which route of a route configuration take a request.

envoy: source/common/router/config_impl.cc
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from envoy.extensions.path.match.uri_template.v3 import uri_template_match_pb2

from meshtest.explain import matching, metadata
from meshtest.explain.configuration import unpacked
from meshtest.explain.truth import Truth, Unknown, every

if TYPE_CHECKING:
    from collections.abc import Mapping

    from envoy.config.route.v3 import route_components_pb2, route_pb2

    from meshtest.explain.wire import HttpRequest

    VirtualHost: TypeAlias = route_components_pb2.VirtualHost

_HUNDRED = {0: 100, 1: 10_000, 2: 1_000_000}
"""envoy.type.v3.FractionalPercent.DenominatorType."""
_TEMPLATE = uri_template_match_pb2.UriTemplateMatchConfig


@dataclass(frozen=True, slots=True)
class Candidate:
    """A route that takes the request: surely, if something unknown is so, or for a share of the requests."""

    route: Any
    truth: Truth
    share: float = 1.0


def virtual_host(configuration: route_pb2.RouteConfiguration, authority: str) -> VirtualHost | None:
    """The virtual host of an authority: its very name, else the longest `*.suffix`, `prefix.*`, and at last `*`."""
    host = authority.lower()
    if configuration.ignore_port_in_host_matching:
        host = without_port(host)
    best, found = (0, 0), None
    for candidate in configuration.virtual_hosts:
        for domain in candidate.domains:
            rank = _rank(domain.lower(), host)
            if rank > best:
                best, found = rank, candidate
    return found


def _rank(domain: str, host: str) -> tuple[int, int]:
    if domain == host:
        return 4, 0
    if domain == "*":
        return 1, 0
    if domain.startswith("*") and host.endswith(domain[1:]) and len(host) > len(domain) - 1:
        return 3, len(domain)
    if domain.endswith("*") and host.startswith(domain[:-1]) and len(host) > len(domain) - 1:
        return 2, len(domain)
    return 0, 0


def without_port(host: str) -> str:
    """The host of `host:port`."""
    plain, colon, port = host.rpartition(":")
    return plain if colon and port.isdigit() and not plain.endswith(":") else host


def routes(host: VirtualHost, request: HttpRequest, found: Mapping[str, Any]) -> list[Candidate]:
    """The routes that may take a request, in order; the one that surely does is the last."""
    candidates = []
    for route in host.routes:
        truth = matches(route.match, request, found)
        if truth is False:
            continue
        share = _share(route.match)
        if share > 0:
            candidates.append(Candidate(route, truth, share))
        if truth is True and share >= 1:
            break
    return candidates


def _share(match: Any) -> float:
    if not match.HasField("runtime_fraction"):
        return 1.0
    return fraction(match.runtime_fraction.default_value)


def fraction(percent: Any) -> float:
    """envoy.type.v3.FractionalPercent as a share of one."""
    return float(min(1.0, percent.numerator / _HUNDRED[percent.denominator]))


def matches(match: Any, request: HttpRequest, found: Mapping[str, Any]) -> Truth:
    """envoy.config.route.v3.RouteMatch, but for the share of requests that it takes."""
    return every(
        (
            _path(match, request),
            matching.every_header(match.headers, request),
            every(matching.query(one, request) for one in match.query_parameters),
            not match.HasField("grpc") or request.is_grpc,
            every(metadata.matches(one, found) for one in match.dynamic_metadata),
            Unknown("the client's certificate") if match.HasField("tls_context") else True,
        )
    )


def _path(match: Any, request: HttpRequest) -> Truth:
    kind = match.WhichOneof("path_specifier")
    path = request.path_only
    if kind == "safe_regex":
        return matching.regex(match.safe_regex.regex, path)
    if kind == "connect_matcher":
        return request.method == "CONNECT"
    if kind == "path_match_policy":
        template = unpacked(match.path_match_policy.typed_config, _TEMPLATE)
        if template is None:
            return Unknown(f"a path matcher {match.path_match_policy.name}")
        return matching.template(template.path_template).fullmatch(path) is not None
    wanted = {
        "path": match.path,
        "prefix": match.prefix,
        "path_separated_prefix": match.path_separated_prefix,
    }
    if kind not in wanted:
        return Unknown(f"a path matcher of kind {kind}")
    return _compared(kind, wanted[kind], path, ignore_case=_ignores_case(match))


def _ignores_case(match: Any) -> bool:
    return bool(match.HasField("case_sensitive") and not match.case_sensitive.value)


def _compared(kind: str, wanted: str, path: str, *, ignore_case: bool) -> bool:
    if ignore_case:
        wanted, path = wanted.lower(), path.lower()
    if kind == "path":
        return path == wanted
    return path.startswith(wanted) and (
        kind == "prefix" or len(path) == len(wanted) or path[len(wanted)] == "/"
    )
