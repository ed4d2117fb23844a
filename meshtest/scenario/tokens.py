"""`jwt:` of a request: the token that it carries, and where."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshtest.scenario.fields import Shape, Short, key, list_of, record
from meshtest.scenario.scalars import anything, boolean, duration, text, word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.scenario.fields import Spot

KEYS = ("known", "unknown", "forged", "none")
"""The words of `meshtest.traffic.tokens.SignedBy`."""
BEARER = ("authorization", "Bearer ")


@dataclass(frozen=True, slots=True, kw_only=True)
class FromHeader:
    """As in RequestAuthentication's `fromHeaders`."""

    name: str
    prefix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSpec:
    """What is given of it; the rest is as `meshtest.traffic.tokens.Token` has it."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    header: FromHeader | None = None
    param: str = ""
    cookie: str = ""


def _token(**given: Any) -> TokenSpec:
    places = {name: given.pop(name) for name in ("header", "param", "cookie") if name in given}
    return TokenSpec(fields=given, **places)


def _one_place(spec: TokenSpec, spot: Spot) -> None:
    places = [name for name in ("header", "param", "cookie") if getattr(spec, name)]
    if len(places) > 1:
        raise spot.error(
            f"the token is to be sent in a {places[0]} and in a {places[1]}",
            expected="one of fromHeader, fromParam and fromCookie",
        )
    if spec.fields.get("expired") and spec.fields.get("not_yet_valid"):
        raise spot.error("expired and notYetValid both stand here", expected="one of them")


_ISSUER = text("an issuer")
JWT: Shape[TokenSpec] = record(
    _token,
    {
        "issuer": key("issuer", _ISSUER),
        "subject": key("subject", text("a subject")),
        "audience": key("audience", list_of(text("an audience"))),
        "claims": key("claims", anything("a mapping of claims")),
        "lifetime": key("lifetime", duration()),
        "expired": key("expired", boolean()),
        "notYetValid": key("not_yet_valid", boolean()),
        "key": key("key", word(KEYS, "key")),
        "fromHeader": key(
            "header",
            record(
                FromHeader,
                {
                    "name": key("name", text("the name of a header"), required=True),
                    "prefix": key("prefix", text("a text", empty=True)),
                },
                short=Short(attribute="name", shape=text("the name of a header")),
            ),
        ),
        "fromParam": key("param", text("a query parameter")),
        "fromCookie": key("cookie", text("a cookie")),
    },
    short=Short(attribute="issuer", shape=_ISSUER),
    verify=_one_place,
    empty=True,
)
