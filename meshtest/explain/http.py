"""A request at an HTTP connection manager: its filters in order, its route, and what comes of it.

normalised path ──► filters (jwt, ext_authz, RBAC, fault, CORS ...) ──► route ──► redirect, own answer, or cluster
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from envoy.extensions.filters.http.cors.v3 import cors_pb2
from envoy.extensions.filters.http.ext_authz.v3 import ext_authz_pb2
from envoy.extensions.filters.http.fault.v3 import fault_pb2
from envoy.extensions.filters.http.jwt_authn.v3 import config_pb2 as jwt_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2

from meshtest.explain import authorization, filters, normalising, routing
from meshtest.explain.configuration import type_of
from meshtest.explain.model import Way
from meshtest.explain.wire import OPAQUE
from meshtest.traffic.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.explain.here import Branch, Here
    from meshtest.explain.rbac import Subject

_HARMLESS = (
    "envoy.extensions.filters.http.grpc_stats.",
    "envoy.extensions.filters.http.grpc_web.",
    "envoy.extensions.filters.http.set_filter_state.",
    "envoy.extensions.filters.http.router.",
    "envoy.extensions.filters.http.upstream_codec.",
    "envoy.extensions.filters.http.compressor.",
    "istio.",
    "io.istio.",
    "udpa.type.v1.TypedStruct",
)


def manage(here: Here, manager: Any, subject: Subject, branch: Branch) -> list[Way]:
    """Every way that a request can go from an HTTP connection manager."""
    branch = replace(branch, crossing=replace(branch.crossing, layer="http"))
    refused = _unreadable(manager, subject)
    if refused is not None:
        return branch.ending(replace(refused, answered_by=here.pod.key)).ways()
    request = subject.wire.request
    assert request is not None  # noqa: S101 - _unreadable has seen to it
    path = normalising.normalised(manager, request.path)
    if path is None:
        bad = Way(status=400, answered_by=here.pod.key, note="the path is not valid")
        return branch.ending(bad, "path_normalization_failed").ways()
    request = replace(normalising.completed(manager, subject, request), path=path)
    branches = routing.routed(here, manager, replace(branch, request=request))
    return [way for one in branches for way in _through(here, manager, subject, one)]


def _unreadable(manager: Any, subject: Subject) -> Way | None:
    """How Envoy takes what is no request that it can read."""
    wire = subject.wire
    if wire.proxied:
        return Way(status=400, note="the PROXY protocol where HTTP is read")
    if wire.layers or wire.spoken == OPAQUE or wire.request is None:
        return Way(outcome=Outcome.RESET, note="bytes that are no HTTP where HTTP is read")
    if wire.spoken == "http/1.0" and not manager.http_protocol_options.accept_http_10:
        return Way(status=426, note="HTTP/1.0 is not accepted")
    return None


def _through(here: Here, manager: Any, subject: Subject, start: routing.Chosen) -> list[Way]:
    """The filters, then the router."""
    branches, ended = [start.branch], list[Way]()
    for found in manager.http_filters:
        config = _config(here, found)
        if found.disabled or config.Is(router_pb2.Router.DESCRIPTOR):
            continue
        at = Passing(here=here, config=config, name=found.name, subject=subject, chosen=start)
        after = [out for one in branches for out in _filtered(at, one)]
        ended += [way for one in after for way in one.ways()]
        branches = [one for one in after if one.end is None]
    for one in branches:
        ended += routing.sent(here, manager, subject, replace(start, branch=one))
    return ended


def _config(here: Here, found: Any) -> Any:
    if found.WhichOneof("config_type") == "config_discovery":
        sent = here.configuration.extension(found.name)
        if sent is not None:
            return sent.typed_config
    return found.typed_config


@dataclass(frozen=True, slots=True, kw_only=True)
class Passing:
    """A filter that requests pass."""

    here: Here
    config: Any
    name: str
    subject: Subject
    chosen: routing.Chosen


def _filtered(at: Passing, branch: Branch) -> list[Branch]:
    """What one filter makes of a request."""
    kind = type_of(at.config)
    if kind in _FILTERS:
        message, judge = _FILTERS[kind]
        return judge(at, message.FromString(at.config.value), branch)
    if kind.startswith(_HARMLESS) or at.name.startswith("istio."):
        return [branch]
    return [branch.when(f"if the filter {at.name} lets it pass unchanged")]


def _rbac(at: Passing, config: Any, branch: Branch) -> list[Branch]:
    own = replace(at.subject, request=branch.request)
    denied = Way(status=403, answered_by=at.here.pod.key, note="RBAC: access denied")
    return authorization.judged(at.here, config, own, branch, denied, authorization.HTTP_RBAC)


def _ext_authz(at: Passing, config: Any, branch: Branch) -> list[Branch]:
    note = "refused by the authorization service, with a status of its own"
    return authorization.asked(config, branch, Way(answered_by=at.here.pod.key, note=note))


def _tokens(at: Passing, config: Any, branch: Branch) -> list[Branch]:
    return filters.tokens(at.here, config, at.name, branch)


def _faults(at: Passing, _: Any, branch: Branch) -> list[Branch]:
    return filters.faults(at.here, at.chosen.per_filter(at.name, fault_pb2.HTTPFault), branch)


def _cors(at: Passing, _: Any, branch: Branch) -> list[Branch]:
    return filters.cors(at.here, at.chosen.per_filter(at.name, cors_pb2.CorsPolicy), branch)


_FILTERS: dict[str, tuple[Any, Callable[[Passing, Any, Branch], list[Branch]]]] = {
    message.DESCRIPTOR.full_name: (message, judge)
    for message, judge in (
        (rbac_pb2.RBAC, _rbac),
        (ext_authz_pb2.ExtAuthz, _ext_authz),
        (jwt_pb2.JwtAuthentication, _tokens),
        (fault_pb2.HTTPFault, _faults),
        (cors_pb2.Cors, _cors),
    )
}
