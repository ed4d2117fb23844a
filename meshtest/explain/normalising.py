"""What an HTTP connection manager makes of a request before it looks at filters and routes.

envoy: source/common/http/{path_utility,conn_manager_utility}.cc; paths become as Chromium's URL library has them.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

if TYPE_CHECKING:
    from meshtest.explain.rbac import Subject
    from meshtest.explain.wire import HttpRequest

_MANAGER = hcm_pb2.HttpConnectionManager
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_ESCAPED_SLASH = re.compile(r"%(2[fF]|5[cC])")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_KEPT = frozenset("!$&'()*+,;=:@%/[]") | _UNRESERVED
"""What stands in a path as it is; all else is escaped."""


def normalised(manager: Any, path: str) -> str | None:
    """The path as filters and routes see it; None where Envoy refuses the request."""
    if not path.isascii():
        return None
    path = path.partition("#")[0]
    own, mark, query = path.partition("?")
    action = manager.path_with_escaped_slashes_action
    if _ESCAPED_SLASH.search(own):
        if action == _MANAGER.REJECT_REQUEST:
            return None
        if action in {_MANAGER.UNESCAPE_AND_FORWARD, _MANAGER.UNESCAPE_AND_REDIRECT}:
            own = re.sub(r"%5[cC]", "\\\\", re.sub(r"%2[fF]", "/", own))
    if manager.normalize_path.value:
        if "%00" in own:
            return None
        own = _canonical(own)
    if manager.merge_slashes:
        own = re.sub(r"/{2,}", "/", own)
    return own + mark + query


def _canonical(path: str) -> str:
    text = _ESCAPE.sub(_unescaped, path.replace("\\", "/"))
    text = "".join(one if one in _KEPT else f"%{ord(one):02X}" for one in text)
    return _without_dots(text)


def _unescaped(found: re.Match[str]) -> str:
    char = chr(int(found[1], 16))
    return char if char in _UNRESERVED else found[0]


def _without_dots(path: str) -> str:
    kept: list[str] = []
    segments = path.split("/")[1:]
    for number, segment in enumerate(segments):
        last = number == len(segments) - 1
        if segment in {".", ".."}:
            if segment == ".." and kept:
                kept.pop()
            if last:
                kept.append("")
        else:
            kept.append(segment)
    return "/" + "/".join(kept)


def completed(manager: Any, subject: Subject, request: HttpRequest) -> HttpRequest:
    """The headers that every manager adds."""
    headers = dict(request.headers)
    scheme = "https" if subject.tls else "http"
    if manager.use_remote_address.value:
        headers["x-forwarded-for"] = (*headers.get("x-forwarded-for", ()), subject.wire.source)
        headers["x-forwarded-proto"] = (scheme,)
    headers.setdefault("x-forwarded-proto", (scheme,))
    return replace(request, headers=headers, scheme=headers["x-forwarded-proto"][0])
