"""What a scenario sends: who, where to, how often."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from meshtest.mesh.proxy_protocol import EXPECTED, PATTERN, is_source
from meshtest.scenario.fields import (
    Fields,
    Key,
    Shape,
    Short,
    key,
    list_of,
    mapping_of,
    object_schema,
    record,
    shown,
    take_keys,
)
from meshtest.scenario.pem import PEM
from meshtest.scenario.scalars import boolean, duration, integer, scalar_text, slug, text, word
from meshtest.scenario.tokens import JWT

if TYPE_CHECKING:
    from meshtest.errors import Location
    from meshtest.scenario.fields import Spot
    from meshtest.scenario.tokens import TokenSpec

PROTOCOLS = ("http", "https", "h2c", "h2", "grpc", "tcp", "tls", "websocket", "http/1.0")
"""The words of `meshtest.traffic.model.Protocol`."""
SCHEMES = {"http": "http", "https": "https", "h2c": "h2c", "grpc": "grpc", "grpcs": "grpc", "tcp": "tcp", "tls": "tls",
           "ws": "websocket", "wss": "websocket"}  # fmt: skip
PHASES = ("before", "during", "after")
"""Of the faults and changes of a scenario."""
NEEDS_PORT = frozenset(("tcp", "tls"))
RATE = re.compile(r"(\d+(?:\.\d+)?)/(s|m)\Z")
METHOD = re.compile(r"[A-Z]+\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSpec:
    """The caller's own TLS, apart from the mesh's."""

    server_name: str | None = None
    alpn: tuple[str, ...] | None = None
    """None: what the protocol needs; empty: none is offered."""
    identity: str = ""
    """A SPIFFE identity whose certificate, signed by the mesh's CA, it presents."""
    min_version: str = ""
    max_version: str = ""
    ca: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)
    verify_name: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSpec:
    """One request; the attributes are those of `meshtest.traffic.model.Request`, and the token that it carries."""

    url: str
    protocol: str = "http"
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    host: str | None = None
    address: str | None = None
    port: int | None = None
    tls: TlsSpec | None = None
    timeout: float = 15.0
    follow_redirects: bool = False
    server_first: bool = False
    half_close: bool = False
    reuse: bool = False
    messages: int = 1
    proxy_protocol: str = ""
    jwt: TokenSpec | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Requests of one caller."""

    sender: str
    """`from:`, a workload or pod (`name` or `namespace/name`), or `outside`."""
    request: RequestSpec
    location: Location
    name: str = ""
    requests: int | None = None
    """How many; None with a rate, and where meshtest picks the number that the checks need."""
    rate: float | None = None
    """Per second, open loop."""
    lasts: float | None = None
    """`for:`, in seconds."""
    concurrency: int = 1
    phase: str = "during"
    """Sent `before` the faults are in force and the changes made, `during` them, or `after` the recovery."""

    @property
    def total(self) -> int | None:
        """How many requests it is altogether, where the scenario says so."""
        if self.rate is not None and self.lasts is not None:
            return max(1, round(self.rate * self.lasts))
        return self.requests


def _read_url(value: Any, spot: Spot) -> str:
    expected = "a URL such as http://ratings:9080/ratings/0"
    if not isinstance(value, str):
        raise spot.error(f"{shown(value)} is not a URL", expected=expected)
    try:
        parts = urlsplit(value)
        has_host, port = bool(parts.hostname), parts.port
    except ValueError as error:
        raise spot.error(f"{value!r}: {error}", expected=expected) from None
    if "://" not in value or not has_host:
        raise spot.error(f"{value!r} has no {'host' if '://' in value else 'scheme'}", expected=expected)
    if parts.scheme not in SCHEMES:
        raise spot.error(f"unknown scheme {parts.scheme!r}", expected=f"one of {', '.join(SCHEMES)}")
    if parts.scheme in NEEDS_PORT and port is None:
        raise spot.error(f"{value!r} has no port", expected=f"{parts.scheme}://host:port")
    return value


def _read_headers(value: Any, spot: Spot) -> tuple[tuple[str, str], ...]:
    found = _HEADERS.read(value, spot)
    return tuple((name, each) for name, values in found.items() for each in values)


def _read_rate(value: Any, spot: Spot) -> float:
    found = RATE.match(value) if isinstance(value, str) else None
    if not found or float(found[1]) == 0:
        raise spot.error(f"{shown(value)} is not a rate", expected="a rate such as 500/s")
    return float(found[1]) / (60 if found[2] == "m" else 1)


def _read_method(value: Any, spot: Spot) -> str:
    if not isinstance(value, str) or not METHOD.match(value):
        raise spot.error(f"{shown(value)} is no HTTP method", expected="an HTTP method such as GET")
    return value


def _read_proxied(value: Any, spot: Spot) -> str:
    if not isinstance(value, str) or not is_source(value):
        raise spot.error(f"{shown(value)} is no address", expected=EXPECTED)
    return value


def _request(url: str, **rest: Any) -> RequestSpec:
    rest.setdefault("protocol", SCHEMES[urlsplit(url).scheme])
    body = rest.pop("body", "").encode()
    return RequestSpec(url=url, body=body, **rest)


URL = Shape(
    expected="a URL with scheme and host",
    read=_read_url,
    schema={"type": "string", "pattern": "^[a-z0-9]+://[^/]"},
)
_HEADERS = mapping_of(list_of(scalar_text()), what="a mapping of header names", empty=True)
HEADERS = Shape(expected=_HEADERS.expected, read=_read_headers, schema=_HEADERS.schema)
RATE_SHAPE = Shape(
    expected="a rate such as 500/s",
    read=_read_rate,
    schema={"type": "string", "pattern": r"^\d+(\.\d+)?/(s|m)$"},
)
METHOD_SHAPE = Shape(
    expected="an HTTP method such as GET", read=_read_method, schema={"type": "string", "pattern": "^[A-Z]+$"}
)
PROXIED = Shape(expected=EXPECTED, read=_read_proxied, schema={"type": "string", "pattern": PATTERN})
TLS = record(
    TlsSpec,
    {
        "serverName": key("server_name", text("the SNI to send", empty=True)),
        "alpn": key("alpn", list_of(text("a protocol such as h2"), empty=True)),
        "identity": key("identity", text("a SPIFFE identity")),
        "minVersion": key("min_version", word(("TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"), "TLS version")),
        "maxVersion": key("max_version", word(("TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"), "TLS version")),
        "ca": key("ca", PEM),
        "certificate": key("certificate", PEM),
        "key": key("key", PEM),
        "verifyName": key("verify_name", boolean()),
    },
)
REQUEST: Shape[RequestSpec] = record(
    _request,
    {
        "url": key("url", URL, required=True),
        "method": key("method", METHOD_SHAPE),
        "headers": key("headers", HEADERS),
        "body": key("body", text("a text", empty=True)),
        "protocol": key("protocol", word(PROTOCOLS, "protocol")),
        "host": key("host", text("a Host header")),
        "address": key("address", text("an address to connect to")),
        "port": key("port", integer(least=1, most=65535, what="a port")),
        "tls": key("tls", TLS),
        "timeout": key("timeout", duration()),
        "followRedirects": key("follow_redirects", boolean()),
        "serverFirst": key("server_first", boolean()),
        "halfClose": key("half_close", boolean()),
        "reuse": key("reuse", boolean()),
        "messages": key("messages", integer(least=1, what="a number of messages")),
        "proxyProtocol": key("proxy_protocol", PROXIED),
        "jwt": key("jwt", JWT),
    },
    short=Short(attribute="url", shape=URL),
)
KEYS: dict[str, Key] = {
    "name": key("name", slug("name of a traffic")),
    "from": key("sender", text("a workload, as name or namespace/name"), required=True),
    "request": key("request", REQUEST, required=True),
    "requests": key("requests", integer(least=1, what="a number of requests")),
    "rate": key("rate", RATE_SHAPE),
    "for": key("lasts", duration()),
    "concurrency": key("concurrency", integer(least=1, what="a number of connections")),
    "phase": key("phase", word(PHASES, "phase")),
}


def _read_traffic(value: Any, spot: Spot) -> Traffic:
    fields = Fields(value, spot, expected="a mapping with from and request")
    found = take_keys(fields, KEYS)
    fields.finish()
    if "requests" in found and "rate" in found:
        raise spot.key("requests").error("requests and rate both stand here", expected="one of them")
    if ("rate" in found) != ("lasts" in found):
        given, missing = ("rate", "for") if "rate" in found else ("for", "rate")
        raise spot.key(given).error(f"{given} stands without {missing}", expected="rate: 500/s with for: 5s")
    return Traffic(location=spot.location, **found)


TRAFFIC: Shape[Traffic] = Shape(
    expected="a mapping with from and request", read=_read_traffic, schema=object_schema(KEYS)
)
