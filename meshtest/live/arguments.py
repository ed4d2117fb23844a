"""The arguments of `Mesh.request` one by one: what may be given, and what is said of what may not. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from meshtest.errors import ScenarioError, nearest
from meshtest.waiting import Timeouts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshtest.mesh.model import Manifest
    from meshtest.mesh.sources import Source
    from meshtest.traffic.model import Request

_OPTIONS = ("seed", "engine_env", "allow_unsupported", "later_workloads", "timeouts")
_PEM = "-----BEGIN "
_NAMED = re.compile(r"[A-Za-z]+(/[a-z0-9][-a-z0-9.]*){1,2}")

E = TypeVar("E", bound=Enum)

HeadersLike = Mapping[str, "str | Sequence[str]"] | Iterable[tuple[str, "str | Sequence[str]"]]


def text_of(value: Any) -> str:
    """Text as it is; bytes so that the same bytes go out."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def text_or_none(value: Any, key: str) -> str | None:
    """A text, bytes, or nothing."""
    if value is not None and not isinstance(value, (str, bytes)):
        raise ScenarioError(f"{value!r} is no text", key=key, expected="a text")
    return None if value is None else text_of(value)


def amount(value: Any, key: str, *, whole: bool = False) -> None:
    """Raise ScenarioError for what is neither a number more than 0 nor nothing."""
    kinds = int if whole else (int, float)
    if value is not None and (isinstance(value, bool) or not isinstance(value, kinds) or not value > 0):
        raise ScenarioError(
            f"{value!r} sends nothing", key=key, expected=f"a {'whole ' if whole else ''}number more than 0"
        )


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
    if isinstance(items, (str, bytes)) or not isinstance(items, Iterable):
        raise ScenarioError(f"{items!r} is no headers", key="headers", expected="{name: value} or pairs")
    pairs: list[tuple[str, str]] = []
    for item in items:
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            raise ScenarioError(f"{item!r} is no header", key="headers", expected="{name: value} or pairs")
        name, value = item
        if name is None or value is None:
            raise ScenarioError(
                f"{value!r} is no value", key=f"headers.{name}", expected="a text, or none such header"
            )
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


def pem(value: Any, key: str) -> str:
    """A certificate or key: as PEM, or the name of a file that holds it; nothing is none."""
    if not value:
        return ""
    text = text_of(value) if isinstance(value, (str, bytes)) else ""
    if _PEM in text:
        return text
    try:
        found = Path(text or value).read_text(encoding="utf-8")
    except (OSError, TypeError, ValueError):
        found = ""
    if _PEM not in found:
        raise ScenarioError(
            f"no PEM at {value!r}", key=key, expected="PEM, or the name of a file that holds it"
        )
    return found


def usable(request: Request) -> Request:
    """The same request; raises ScenarioError where its TLS is none that a client could have."""
    if request.tls is None:
        return request
    tls = request.tls
    if tls.certificate and "PRIVATE KEY-----" not in tls.certificate + tls.key:
        raise ScenarioError(
            "a certificate without its key", key="tls.key", expected="PEM, or a file that holds it"
        )
    import ssl  # noqa: PLC0415 - only where a caller speaks TLS itself

    from meshtest.traffic.tls import context_of  # noqa: PLC0415 - as above

    try:
        context_of(request)
    except ssl.SSLError as exc:
        wrong = getattr(exc, "reason", "") or exc.args[-1].partition(" (_ssl.c")[0]
        raise ScenarioError(f"OpenSSL refuses it: {wrong.lower().replace('_', ' ')}", key="tls") from exc
    except ValueError as exc:
        raise ScenarioError(str(exc), key="tls") from exc
    return request


def options_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Further fields of MeshOptions as `Mesh.from_manifests` takes them."""
    known_words(options, _OPTIONS, "argument")
    found = dict(options)
    if isinstance(found.get("timeouts"), Mapping):
        given = found["timeouts"]
        known_words(given, [each.name for each in fields(Timeouts)], "key", key="timeouts")
        found["timeouts"] = Timeouts(**{name: seconds(value) for name, value in given.items()})
    found["engine_env"] = switches_of(found.get("engine_env"))
    return found


def switches_of(given: Mapping[str, Any] | None) -> dict[str, str]:
    """The environment of istiod, whose values are texts."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in (given or {}).items()
    }


def known_words(given: Iterable[str], known: Sequence[str], what: str, *, key: str = "") -> None:
    """Raise ScenarioError for a word that is none of those known."""
    for word in given:
        if word not in known:
            raise ScenarioError(
                f"unknown {what} {word!r}",
                key=key,
                expected=f"some of {', '.join(known)}",
                nearest=nearest(str(word), known),
            )


def meant(source: Source | Manifest, held: Sequence[Manifest]) -> Source | Manifest:
    """The manifest that `KIND/NAME` or `KIND/NAMESPACE/NAME` names; any other source as it is."""
    if not isinstance(source, str) or not _NAMED.fullmatch(source):
        return source
    kinds = {each.ref.kind.lower(): each.ref.kind for each in held}
    kind, _, rest = source.partition("/")
    if kind.lower() not in kinds and (not kind[0].isupper() or Path(source).exists()):
        return source
    from meshtest.scenario.changes import find, object_named  # noqa: PLC0415 - only for what is named

    named = object_named(f"{kinds.get(kind.lower(), kind)}/{rest}", None, "delete")
    return find(named, held, "delete")


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
