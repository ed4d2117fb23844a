"""The route of a request, and what its action does: redirect, answer, or send on to a cluster."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from envoy.extensions.filters.http.jwt_authn.v3 import config_pb2 as jwt_pb2

from meshtest.explain import metadata, policies, rewriting, routes, upstream
from meshtest.explain.configuration import unpacked
from meshtest.explain.model import Patience, Route, Way
from meshtest.explain.truth import Unknown
from meshtest.traffic.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest.explain.here import Branch, Here
    from meshtest.explain.rbac import Subject
    from meshtest.explain.wire import HttpRequest

_MESH_ALPN = ("istio-http/1.1", "istio")
"""What `istio.alpn` offers; chains for HTTP/2 of the mesh take the same."""
_NOT_FOUND = {0: 503, 1: 404, 2: 500}
"""envoy.config.route.v3.RouteAction.ClusterNotFoundResponseCode."""
_DEFAULT_TIMEOUT = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A route that takes a request, if any does."""

    branch: Branch
    configuration: Any = None
    host: Any = None
    route: Any = None

    def per_filter(self, name: str, message: Any) -> Any:
        """What the route, else its virtual host, else the configuration says to a filter."""
        for level in (self.route, self.host, self.configuration):
            if level is not None and name in level.typed_per_filter_config:
                return unpacked(level.typed_per_filter_config[name], message)
        return None


def routed(here: Here, manager: Any, branch: Branch) -> list[Chosen]:
    """The routes that may take a request."""
    request = branch.request
    assert request is not None  # noqa: S101 - HTTP
    configuration = manager.route_config
    if manager.WhichOneof("route_specifier") == "rds":
        configuration = here.configuration.routes(manager.rds.route_config_name)
    if configuration is None:
        return [Chosen(branch=branch)]
    host = routes.virtual_host(configuration, request.authority)
    if host is None:
        return [Chosen(branch=branch, configuration=configuration)]
    found = routes.routes(host, request, _claims(manager, request))
    return list(_chosen(here, branch, configuration, host, found))


def _chosen(
    here: Here, branch: Branch, configuration: Any, host: Any, found: list[routes.Candidate]
) -> Iterator[Chosen]:
    left, doubt = 1.0, ""
    for candidate in found:
        own = _on(here, branch, configuration, host, candidate.route)
        if doubt or isinstance(candidate.truth, Unknown):
            doubt = doubt or f"depending on {getattr(candidate.truth, 'reason', '')}"
            own = own.when(doubt)
        elif left * candidate.share < 1:
            own = own.when(f"a share of {left * candidate.share:.3%}", left * candidate.share)
        yield Chosen(branch=own, configuration=configuration, host=host, route=candidate.route)
        left *= 1 - candidate.share
    sure = found and found[-1].truth is True and found[-1].share >= 1
    if not sure:
        own = branch.when(doubt) if doubt else branch.when("", left)
        yield Chosen(branch=own if found else branch, configuration=configuration, host=host)


def _claims(manager: Any, request: HttpRequest) -> dict[str, Any]:
    """A token's claims may choose the route; what they are is not known."""
    reads = [
        one.name for one in manager.http_filters if one.typed_config.Is(jwt_pb2.JwtAuthentication.DESCRIPTOR)
    ]
    if not request.headers.get("authorization"):
        return {}
    return {name: Unknown("the claims of the token") for name in reads}


def sent(here: Here, manager: Any, subject: Subject, chosen: Chosen) -> list[Way]:
    """What the router does."""
    branch, route = chosen.branch, chosen.route
    request = branch.request
    assert request is not None  # noqa: S101 - HTTP
    if route is None:
        nothing = Way(status=404, answered_by=here.pod.key, note="no route")
        return branch.ending(nothing, "route_not_found").ways()
    if chosen.host.require_tls and request.scheme != "https":
        place = f"https://{request.authority}{request.path}"
        return branch.ending(Way(status=301, answered_by=here.pod.key, location=place), "https").ways()
    kind = route.WhichOneof("action")
    if kind == "redirect":
        status, place = rewriting.redirect(request, route)
        moved = Way(status=status, answered_by=here.pod.key, location=place, note="redirect")
        return branch.ending(moved, "direct_response").ways()
    if kind == "direct_response":
        own = Way(status=route.direct_response.status, answered_by=here.pod.key, note="direct response")
        return branch.ending(own, "direct_response").ways()
    if kind != "route":
        return branch.when(f"a route action of kind {kind}").ending(Way(answered_by=here.pod.key)).ways()
    return _to_clusters(here, manager, subject, chosen)


def _on(here: Here, branch: Branch, configuration: Any, host: Any, route: Any) -> Branch:
    """A branch that has taken a route."""
    config = metadata.text(route.metadata, "istio", "config")
    action = route.route if route.WhichOneof("action") == "route" else None
    told = Route(
        configuration=configuration.name,
        virtual_host=host.name,
        name=route.name,
        by=policies.routing(here.model, config, route.name) if config else None,
        patience=_patience(action, host),
        mirrors=tuple(one.cluster for one in action.request_mirror_policies) if action else (),
    )
    return replace(branch, crossing=replace(branch.crossing, route=told))


def _patience(action: Any, host: Any) -> Patience:
    if action is None:
        return Patience()
    policy = None
    for level in (action, host):
        if policy is None and level.HasField("retry_policy"):
            policy = level.retry_policy
    timeout = _seconds(action, "timeout") if action.HasField("timeout") else _DEFAULT_TIMEOUT
    if policy is None:
        return Patience(timeout=timeout, idle=_seconds(action, "idle_timeout"))
    return Patience(
        timeout=timeout,
        per_try=_seconds(policy, "per_try_timeout"),
        idle=_seconds(action, "idle_timeout"),
        retries=policy.num_retries.value if policy.HasField("num_retries") else 1,
        retry_on=policy.retry_on,
    )


def _seconds(message: Any, name: str) -> float | None:
    """A duration; None for none and for zero, which means without bound."""
    return getattr(message, name).ToNanoseconds() / 1e9 or None if message.HasField(name) else None


def _to_clusters(here: Here, manager: Any, subject: Subject, chosen: Chosen) -> list[Way]:
    ways: list[Way] = []
    for share, cluster, levels in _clusters(chosen):
        branch = chosen.branch if share == 1 else chosen.branch.when(f"{share:.3%} by weight", share)
        if cluster is None:
            unknown = branch.when("the cluster is chosen at run time")
            ways += unknown.ending(Way(answered_by=here.pod.key)).ways()
        else:
            ways += _to_cluster(here, manager, subject, replace(chosen, branch=branch), cluster, levels)
    return ways


def _clusters(chosen: Chosen) -> Iterator[tuple[float, str | None, list[Any]]]:
    """Share, name, and what changes headers on the way."""
    action = chosen.route.route
    levels = [chosen.route, chosen.host, chosen.configuration]
    kind = action.WhichOneof("cluster_specifier")
    request = chosen.branch.request
    if kind == "weighted_clusters":
        weighted = [one for one in action.weighted_clusters.clusters if one.weight.value]
        total = sum(one.weight.value for one in weighted) or 1
        for one in weighted:
            yield one.weight.value / total, one.name, [one, *levels]
    elif kind == "cluster":
        yield 1.0, action.cluster, levels
    elif kind == "cluster_header" and request is not None:
        values = request.values(action.cluster_header)
        yield 1.0, None if isinstance(values, Unknown) else (values or ("",))[0], levels
    else:
        yield 1.0, None, levels


def _to_cluster(
    here: Here, manager: Any, subject: Subject, chosen: Chosen, cluster: str, levels: list[Any]
) -> list[Way]:
    branch = chosen.branch
    assert branch.request is not None  # noqa: S101 - HTTP
    assert branch.crossing.route is not None  # noqa: S101 - _on has set it
    request = rewriting.rewritten(rewriting.changed(branch.request, levels), chosen.route)
    seen = replace(branch.crossing.route, path=request.path, authority=request.authority)
    crossing = replace(branch.crossing, route=seen)
    offers = any(one.name == "istio.alpn" for one in manager.http_filters)
    target = upstream.Target(
        cluster=cluster, wire=replace(subject.wire, request=request), alpn=_MESH_ALPN if offers else ()
    )
    code = _NOT_FOUND.get(chosen.route.route.cluster_not_found_response_code, 503)
    found: list[Way] = []
    for after, ways in upstream.forwarded(here, target, crossing):
        own = replace(branch, crossing=after)
        found += own.closed(
            _as_http(here, way, code if after.details == upstream.NO_CLUSTER else 503) for way in ways
        )
    return found


def _as_http(here: Here, way: Way, status: int) -> Way:
    """Envoy answers by itself where what is behind it does not."""
    if way.outcome is Outcome.RESPONSE:
        return way
    return replace(way, outcome=Outcome.RESPONSE, status=status, answered_by=here.pod.key)
