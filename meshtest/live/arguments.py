"""The arguments of `Mesh.request` one by one: what may be given, and what is said of what may not. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

from meshtest.errors import ScenarioError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

E = TypeVar("E", bound=Enum)

HeadersLike = Mapping[str, "str | Sequence[str]"] | Iterable[tuple[str, "str | Sequence[str]"]]


def text_of(value: Any) -> str:
    """Text as it is; bytes so that the same bytes go out."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def words(value: Any, key: str) -> str:
    """A text, or bytes, that has to be there."""
    if not isinstance(value, (str, bytes)) or not value:
        raise ScenarioError(f"{value!r} is no text", key=key, expected="a text or bytes")
    return text_of(value)


def header_pairs(headers: HeadersLike | None) -> tuple[tuple[str, str], ...]:
    """Headers as pairs in order; a list of values is one header per value."""
    if not headers:
        return ()
    items: Iterable[Any] = headers.items() if isinstance(headers, Mapping) else headers
    pairs: list[tuple[str, str]] = []
    for item in items:
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            raise ScenarioError(f"{item!r} is no header", key="headers", expected="{name: value} or pairs")
        name, value = item
        values = value if isinstance(value, (list, tuple)) else [value]
        pairs.extend((text_of(name), text_of(one)) for one in values)
    return tuple(pairs)


def body_of(value: Any) -> bytes:
    """A text or bytes; None is no body."""
    if value is None or value == "":
        return b""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if not isinstance(value, str):
        raise ScenarioError(f"a {type(value).__name__} is no body", key="body", expected="a text or bytes")
    return value.encode("utf-8", "surrogateescape")


def seconds(value: Any) -> float:
    """A time limit: seconds, or a duration as in scenarios."""
    from meshtest.scenario.scalars import seconds_of  # noqa: PLC0415 - scenarios load without a mesh, and so this

    found = seconds_of(value) if isinstance(value, str) else value
    if not isinstance(found, (int, float)) or isinstance(found, bool) or found <= 0:
        raise ScenarioError(
            f"{value!r} is no time limit", key="timeout", expected="seconds, or such as 500ms"
        )
    return float(found)


def port_number(value: Any) -> int | None:
    """A port; None is the URL's."""
    if value is None:
        return None
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 65536:
        raise ScenarioError(f"{value!r} is no port", key="port", expected="1 to 65535")
    return value


def member(kind: type[E], value: E | str, key: str) -> E:
    """One of an enumeration, or the word for it."""
    if isinstance(value, kind):
        return value
    words = [each.value for each in kind]
    if value not in words:
        raise ScenarioError(
            f"unknown {key} {value!r}",
            key=key,
            expected=f"one of {', '.join(words)}",
            nearest=nearest(str(value), words),
        )
    return kind(value)
