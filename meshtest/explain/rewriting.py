"""What a route makes of a request on its way on: headers, path and authority; and where redirects lead.

envoy: source/common/router/{config_impl,header_parser}.cc
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from envoy.config.core.v3 import base_pb2

from meshtest.explain import matching
from meshtest.explain.routes import without_port

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshtest.explain.wire import HttpRequest

_ACTIONS = base_pb2.HeaderValueOption
_CODES = {0: 301, 1: 302, 2: 303, 3: 307, 4: 308}
"""envoy.config.route.v3.RedirectAction.RedirectResponseCode."""
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def changed(request: HttpRequest, levels: Iterable[Any]) -> HttpRequest:
    """The headers as weighted cluster, route, virtual host and configuration change them, in this order."""
    for level in levels:
        request = _headers(request, level)
    return request


def _headers(request: HttpRequest, level: Any) -> HttpRequest:
    headers, unknown = dict(request.headers), set(request.unknown)
    for name in level.request_headers_to_remove:
        headers.pop(name.lower(), None)
        unknown.discard(name.lower())
    authority = request.authority
    for option in level.request_headers_to_add:
        name, value = option.header.key.lower(), option.header.value
        if name in {":authority", "host"}:
            authority = value
        elif "%" in value.replace("%%", ""):
            unknown.add(name)
            headers.pop(name, None)
        else:
            _set(headers, name, value.replace("%%", "%"), option)
    return replace(request, headers=headers, unknown=frozenset(unknown), authority=authority)


def _set(headers: dict[str, tuple[str, ...]], name: str, value: str, option: Any) -> None:
    before = headers.get(name, ())
    action = option.append_action
    if option.HasField("append") and not option.append.value:
        action = _ACTIONS.OVERWRITE_IF_EXISTS_OR_ADD
    if not value and not option.keep_empty_value:
        return
    if action == _ACTIONS.APPEND_IF_EXISTS_OR_ADD:
        headers[name] = (*before, value)
    elif action != (_ACTIONS.ADD_IF_ABSENT if before else _ACTIONS.OVERWRITE_IF_EXISTS):
        headers[name] = (value,)


def rewritten(request: HttpRequest, route: Any) -> HttpRequest:
    """Authority and path as a route's action rewrites them."""
    action = route.route
    path, query = request.path_only, request.path[len(request.path_only) :]
    if action.prefix_rewrite:
        path = _prefix(route.match, path, action.prefix_rewrite)
    elif action.HasField("regex_rewrite"):
        path = _by_regex(action.regex_rewrite, path)
    authority = request.authority
    if action.host_rewrite_literal:
        authority = action.host_rewrite_literal
    elif action.host_rewrite_header:
        authority = ",".join(request.headers.get(action.host_rewrite_header.lower(), (authority,)))
    elif action.HasField("host_rewrite_path_regex"):
        authority = _by_regex(action.host_rewrite_path_regex, request.path_only)
    return replace(request, path=path + query, authority=authority)


def _prefix(match: Any, path: str, new: str) -> str:
    """What matched is replaced: a prefix, or the whole path where another kind of match took it."""
    kind = match.WhichOneof("path_specifier")
    if kind in {"prefix", "path_separated_prefix"}:
        return new + path[len(getattr(match, kind)) :]
    return new


def _by_regex(rewrite: Any, text: str) -> str:
    pattern = matching.compiled(rewrite.pattern.regex)
    return text if pattern is None else pattern.sub(_python(rewrite.substitution), text)


def _python(substitution: str) -> str:
    r"""RE2's `\0` is Python's `\g<0>`."""
    return re.sub(r"\\(\d)", r"\\g<\1>", substitution)


def redirect(request: HttpRequest, route: Any) -> tuple[int, str]:
    """Status and location of a redirect."""
    action = route.redirect
    scheme = action.scheme_redirect or ("https" if action.https_redirect else request.scheme)
    host = action.host_redirect or without_port(request.authority)
    port = str(action.port_redirect or "") or _kept_port(request, action, scheme)
    place = f"{host}:{port}" if port and _DEFAULT_PORTS.get(scheme) != port else host
    return _CODES.get(action.response_code, 301), f"{scheme}://{place}{_new_path(request, route)}"


def _kept_port(request: HttpRequest, action: Any, scheme: str) -> str:
    """The port of the authority stays unless host or scheme change."""
    plain = without_port(request.authority)
    if action.host_redirect or plain == request.authority:
        return ""
    port = request.authority[len(plain) + 1 :]
    return "" if scheme != request.scheme and _DEFAULT_PORTS.get(request.scheme) == port else port


def _new_path(request: HttpRequest, route: Any) -> str:
    action = route.redirect
    path, query = request.path_only, request.path[len(request.path_only) :]
    if action.path_redirect:
        own = action.path_redirect
        return str(own) if "?" in own or action.strip_query else f"{own}{query}"
    if action.prefix_rewrite:
        path = _prefix(route.match, path, action.prefix_rewrite)
    elif action.HasField("regex_rewrite"):
        path = _by_regex(action.regex_rewrite, path)
    return path if action.strip_query else path + query
