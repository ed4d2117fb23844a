"""Puts a token where a request carries it. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from meshtest.scenario.tokens import BEARER

if TYPE_CHECKING:
    from meshtest.scenario.tokens import TokenSpec
    from meshtest.traffic.model import Request


def carrying(request: Request, token: str, spec: TokenSpec) -> Request:
    """The same request with its token, in `Authorization` unless the scenario says otherwise."""
    if spec.param:
        return replace(request, url=_with_query(request.url, f"{spec.param}={token}"))
    if spec.cookie:
        header = ("cookie", f"{spec.cookie}={token}")
    elif spec.header:
        header = (spec.header.name, f"{spec.header.prefix}{token}")
    else:
        header = (BEARER[0], f"{BEARER[1]}{token}")
    return replace(request, headers=(*request.headers, header))


def _with_query(url: str, pair: str) -> str:
    parts = urlsplit(url)
    query = f"{parts.query}&{pair}" if parts.query else pair
    return urlunsplit(parts._replace(path=parts.path or "/", query=query))
