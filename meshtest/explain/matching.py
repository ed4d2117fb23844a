"""Envoy's matchers of strings, headers, query parameters and paths."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from meshtest.explain.truth import Truth, Unknown, every, negated, some

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.explain.wire import HttpRequest

_ONLY_RE2 = re.compile(r"\[\[:|\\[pPCQz]|\(\?[^:)]*U")
"""What RE2 reads otherwise than Python does."""
_LITERAL = r"[a-zA-Z0-9\-._~%!$&'()+,;:@=]"
"""envoy: source/extensions/path/uri_template_lib/uri_template_internal.h."""


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> re.Pattern[str] | None:
    """An RE2 expression; None where Python may read it otherwise."""
    if _ONLY_RE2.search(pattern):
        return None
    try:
        return re.compile(pattern, re.ASCII)
    except re.error:
        return None


def regex(pattern: str, text: str) -> Truth:
    """Whether an expression matches the whole text, as in Envoy."""
    found = compiled(pattern)
    if found is None:
        return Unknown(f"the regular expression {pattern}")
    return found.fullmatch(text) is not None


def string(matcher: Any, text: str) -> Truth:
    """envoy.type.matcher.v3.StringMatcher."""
    kind = matcher.WhichOneof("match_pattern")
    if kind == "safe_regex":
        return regex(matcher.safe_regex.regex, text)
    if kind not in {"exact", "prefix", "suffix", "contains"}:
        return Unknown(f"a matcher of strings of kind {kind}")
    wanted = getattr(matcher, kind)
    if matcher.ignore_case:
        wanted, text = wanted.lower(), text.lower()
    return _COMPARED[kind](text, wanted)


_COMPARED: dict[str, Callable[[str, str], bool]] = {
    "exact": lambda text, wanted: text == wanted,
    "prefix": lambda text, wanted: text.startswith(wanted),
    "suffix": lambda text, wanted: text.endswith(wanted),
    "contains": lambda text, wanted: wanted in text,
}


def header(matcher: Any, request: HttpRequest) -> Truth:
    """envoy.config.route.v3.HeaderMatcher."""
    values = request.values(matcher.name)
    if isinstance(values, Unknown):
        return values
    kind = matcher.WhichOneof("header_match_specifier")
    if kind == "present_match" or kind is None:
        wanted = matcher.present_match if kind else True
        return bool((bool(values) == wanted) != matcher.invert_match)
    if not values and not matcher.treat_missing_header_as_empty:
        return False
    found = _header_value(matcher, kind, ",".join(values))
    return negated(found) if matcher.invert_match else found


def _header_value(matcher: Any, kind: str, text: str) -> Truth:
    if kind == "string_match":
        return string(matcher.string_match, text)
    if kind == "range_match":
        try:
            return bool(matcher.range_match.start <= int(text) < matcher.range_match.end)
        except ValueError:
            return False
    if kind == "safe_regex_match":
        return regex(matcher.safe_regex_match.regex, text)
    short = kind.removesuffix("_match")
    if short in _COMPARED:
        return _COMPARED[short](text, getattr(matcher, kind))
    return Unknown(f"a matcher of headers of kind {kind}")


def query(matcher: Any, request: HttpRequest) -> Truth:
    """envoy.config.route.v3.QueryParameterMatcher: the first value of the name counts."""
    value = next((value for name, value in request.query if name == matcher.name), None)
    kind = matcher.WhichOneof("query_parameter_match_specifier")
    if kind == "string_match":
        return False if value is None else string(matcher.string_match, value)
    return (value is not None) == (matcher.present_match if kind else True)


@lru_cache(maxsize=1024)
def template(pattern: str) -> re.Pattern[str]:
    """envoy.extensions.path.match.uri_template: `*` is one segment, `**` any number, `{name}` one that has a name."""
    parts = []
    for part in re.split(r"(\{[^}]*\}|\*\*|\*)", pattern):
        body = part[1:-1].partition("=")[2] or "*" if part.startswith("{") else part
        parts += [_template_part(piece) for piece in re.split(r"(\*\*|\*)", body)]
    return re.compile("".join(parts))


def _template_part(piece: str) -> str:
    if piece == "**":
        return _LITERAL[:-1] + "/]*"
    return _LITERAL + "+" if piece == "*" else re.escape(piece)


def every_header(matchers: Any, request: HttpRequest) -> Truth:
    """Whether all of them match."""
    return every(header(one, request) for one in matchers)


def names(matchers: Any, found: str) -> Truth:
    """Whether one of the matchers of subject alternative names takes a name; none of them takes all."""
    return some(string(one, found) for one in matchers) if len(matchers) else True
