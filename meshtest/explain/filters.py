"""HTTP filters other than RBAC: tokens, faults, CORS."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meshtest.explain import matching, routes
from meshtest.explain.model import Way
from meshtest.explain.truth import Unknown, every, some

if TYPE_CHECKING:
    from meshtest.explain.here import Branch, Here
    from meshtest.explain.truth import Truth
    from meshtest.explain.wire import HttpRequest

_PREFLIGHT = ("origin", "access-control-request-method")


# -- tokens --------------------------------------------------------------------------------------------------


def tokens(here: Here, config: Any, name: str, branch: Branch) -> list[Branch]:
    """What jwt_authn makes of a request: without a token that is known, with one only at run time."""
    request = branch.request
    assert request is not None  # noqa: S101 - an HTTP filter
    if config.bypass_cors_preflight and is_preflight(request):
        return [branch]
    rule = next((one for one in config.rules if routes.matches(one.match, request, {}) is True), None)
    if rule is None or not rule.HasField("requires"):
        return [branch]
    refused = Way(status=401, answered_by=here.pod.key, note="no valid token")
    truth = _satisfied(config, rule.requires, request)
    if truth is False:
        return [branch.ending(refused, "jwt_authn_access_denied{Jwt_is_missing}")]
    if truth is True:
        return [branch]
    claims = Unknown("the claims of the token")
    valid = replace(branch, metadata={**branch.metadata, name: claims})
    return [
        valid.when("if the token is valid"),
        branch.when("if the token is not valid").ending(refused, "jwt_authn_access_denied"),
    ]


def _satisfied(config: Any, requirement: Any, request: HttpRequest) -> Truth:
    kind = requirement.WhichOneof("requires_type")
    if kind == "requires_any":
        return some(_satisfied(config, one, request) for one in requirement.requires_any.requirements)
    if kind == "requires_all":
        return every(_satisfied(config, one, request) for one in requirement.requires_all.requirements)
    if kind == "allow_missing_or_failed":
        return True
    known = config.providers
    if kind == "allow_missing":
        given = any(_has_token(provider, request) for provider in known.values())
        return Unknown("the token") if given else True
    name = requirement.provider_name or requirement.provider_and_audiences.provider_name
    return Unknown("the token") if name in known and _has_token(known[name], request) else False


def _has_token(provider: Any, request: HttpRequest) -> bool:
    query = {name for name, _ in request.query}
    if not (provider.from_headers or provider.from_params or provider.from_cookies):
        bearer = any(value.startswith("Bearer ") for value in request.headers.get("authorization", ()))
        return bearer or "access_token" in query
    cookies = ";".join(request.headers.get("cookie", ()))
    return (
        any(one.name.lower() in request.headers for one in provider.from_headers)
        or any(name in query for name in provider.from_params)
        or any(f"{name}=" in cookies for name in provider.from_cookies)
    )


# -- faults --------------------------------------------------------------------------------------------------


def faults(here: Here, config: Any, branch: Branch) -> list[Branch]:
    """Istio's own `fault` of a route."""
    request = branch.request
    if config is None or request is None or not config.HasField("abort"):
        return [branch]
    if config.headers and matching.every_header(config.headers, request) is not True:
        return [branch]
    share = routes.fraction(config.abort.percentage)
    status = config.abort.http_status or 200
    aborted = Way(status=status, answered_by=here.pod.key, note="the route's fault.abort")
    if share >= 1:
        return [branch.ending(aborted, "fault_filter_abort")]
    if share <= 0:
        return [branch]
    return [
        branch.when("unless the route's fault.abort hits", 1 - share),
        branch.when("if the route's fault.abort hits", share).ending(aborted, "fault_filter_abort"),
    ]


# -- CORS ----------------------------------------------------------------------------------------------------


def is_preflight(request: HttpRequest) -> bool:
    """Whether a request asks what CORS allows."""
    return request.method == "OPTIONS" and all(request.headers.get(name, ("",))[0] for name in _PREFLIGHT)


def cors(here: Here, policy: Any, branch: Branch) -> list[Branch]:
    """Preflight requests of allowed origins are answered by Envoy itself."""
    request = branch.request
    if policy is None or request is None or not is_preflight(request):
        return [branch]
    if routes.fraction(policy.filter_enabled.default_value) <= 0 and policy.HasField("filter_enabled"):
        return [branch]
    origin = request.headers["origin"][0]
    allowed = some(matching.string(one, origin) for one in policy.allow_origin_string_match)
    answered = Way(status=200, answered_by=here.pod.key, note="the answer to a CORS preflight")
    if allowed is True:
        return [branch.ending(answered)]
    if allowed is False:
        forwards = not policy.HasField("forward_not_matching_preflights")
        if forwards or policy.forward_not_matching_preflights.value:
            return [branch]
        return [branch.ending(answered)]
    return [
        branch.when("if the origin is allowed").ending(answered),
        branch.when("if the origin is not allowed"),
    ]
