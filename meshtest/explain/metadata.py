"""Dynamic metadata: what filters leave for those behind them, and Envoy's matchers of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from meshtest.explain import matching
from meshtest.explain.truth import Truth, Unknown, negated, some

_ABSENT = object()


def matches(matcher: Any, found: Mapping[str, Any]) -> Truth:
    """envoy.type.matcher.v3.MetadataMatcher."""
    value: Any = found.get(matcher.filter, _ABSENT)
    for segment in matcher.path:
        if isinstance(value, Unknown):
            break
        value = value.get(segment.key, _ABSENT) if isinstance(value, Mapping) else _ABSENT
    truth = value if isinstance(value, Unknown) else _value(matcher.value, value)
    return negated(truth) if matcher.invert else truth


def text(found: Any, name: str, key: str) -> str:
    """A text in the metadata of a resource (envoy.config.core.v3.Metadata); empty where there is none."""
    if name not in found.filter_metadata:
        return ""
    fields = found.filter_metadata[name].fields
    return str(fields[key].string_value) if key in fields else ""


def _value(matcher: Any, value: Any) -> Truth:
    """envoy.type.matcher.v3.ValueMatcher."""
    kind = matcher.WhichOneof("match_pattern")
    if kind == "or_match":
        return some(_value(one, value) for one in matcher.or_match.value_matchers)
    if kind == "string_match":
        return matching.string(matcher.string_match, value) if isinstance(value, str) else False
    if kind == "list_match":
        own = matcher.list_match.one_of
        return some(_value(own, one) for one in value) if isinstance(value, (list, tuple)) else False
    if kind in _PLAIN:
        return _PLAIN[kind](matcher, value)
    return Unknown(f"a matcher of metadata of kind {kind}")


_PLAIN: dict[str | None, Callable[[Any, Any], bool]] = {
    "present_match": lambda matcher, value: bool(matcher.present_match and value is not _ABSENT),
    "bool_match": lambda matcher, value: value is matcher.bool_match,
    "null_match": lambda _, value: value is None,
}
