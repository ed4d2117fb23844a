"""A connection as the next Envoy meets it: addresses, layers of TLS, and the request inside."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from meshtest.explain.truth import Unknown
from meshtest.mesh.proxy_protocol import address_of
from meshtest.traffic.model import Protocol
from meshtest.traffic.target import target_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.traffic.model import Request

OPAQUE = "opaque"
_SPOKEN = {
    Protocol.HTTP: "http/1.1",
    Protocol.HTTPS: "http/1.1",
    Protocol.WEBSOCKET: "http/1.1",
    Protocol.HTTP10: "http/1.0",
    Protocol.H2C: "h2c",
    Protocol.H2: "h2c",
    Protocol.GRPC: "h2c",
}
_OWN_TLS = {Protocol.HTTPS: ("http/1.1",), Protocol.H2: ("h2",), Protocol.TLS: ()}
_ADDED = ("x-envoy-", "x-b3-", "x-ot-", "x-datadog-")
_ADDED_NAMES = frozenset(
    (
        "x-request-id",
        "traceparent",
        "tracestate",
        "baggage",
        "x-forwarded-client-cert",
        "user-agent",
        "accept",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """An HTTP request as the next one in line sees it; names of headers in lower case."""

    method: str
    authority: str
    path: str
    """With the query."""
    scheme: str = "http"
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()
    """Headers whose value only the running mesh knows."""

    def values(self, name: str) -> tuple[str, ...] | Unknown:
        """All values of a header or pseudo header."""
        name = name.lower()
        pseudo = {":method": self.method, ":path": self.path, ":scheme": self.scheme}
        if name in pseudo:
            return (pseudo[name],)
        if name in {":authority", "host"}:
            return (self.authority,)
        if name in self.headers:
            return self.headers[name]
        if name in self.unknown or name in _ADDED_NAMES or name.startswith(_ADDED):
            return Unknown(f"the value of the header {name}, which is made on the way")
        return ()

    @property
    def path_only(self) -> str:
        """The path without query and fragment."""
        return self.path.partition("?")[0].partition("#")[0]

    @property
    def query(self) -> list[tuple[str, str]]:
        """The query's parameters in order, as they stand there."""
        text = self.path.partition("#")[0].partition("?")[2]
        pairs = (part.partition("=") for part in text.split("&") if part)
        return [(name, value) for name, _, value in pairs]

    @property
    def is_grpc(self) -> bool:
        """Whether Envoy takes it for gRPC."""
        values = self.headers.get("content-type", ("",))
        return values[0] == "application/grpc" or values[0].startswith("application/grpc+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """One layer of TLS, as its client begins it."""

    sni: str = ""
    alpn: tuple[str, ...] = ()
    identity: str = ""
    """The SPIFFE identity of the certificate that the client shows; empty for none."""
    foreign: str = ""
    """What certificate it shows instead of one of the mesh."""
    trusts: tuple[object, ...] | None = None
    """Matchers of the server's names; None: it takes every server."""
    trusts_mesh: bool = True
    """Whether the mesh's root is what it verifies by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """A connection."""

    source: str
    address: str
    port: int
    layers: tuple[Tls, ...] = ()
    """The outermost first."""
    spoken: str = OPAQUE
    """`http/1.1`, `http/1.0`, `h2c` or `opaque`, inside all layers."""
    request: HttpRequest | None = None
    proxied: str = ""
    """Whom the PROXY protocol in front of it names."""

    @property
    def transport(self) -> str:
        """As `tls_inspector` names it."""
        return "tls" if self.layers else "raw_buffer"

    @property
    def introduced(self) -> Wire:
        """The same behind a listener that reads the PROXY protocol."""
        return replace(self, source=self.proxied, proxied="") if self.proxied else self

    @property
    def bare(self) -> Wire:
        """The same for who does not read the PROXY protocol, and takes it for the beginning of something."""
        return replace(self, layers=(), spoken=OPAQUE) if self.proxied else self

    def to(self, address: str, port: int) -> Wire:
        """The same, to another address."""
        return replace(self, address=address, port=port)

    def wrapped(self, tls: Tls | None) -> Wire:
        """The same within one more layer of TLS."""
        return self if tls is None else replace(self, layers=(tls, *self.layers))

    def unwrapped(self) -> Wire:
        """The same without its outermost layer."""
        return replace(self, layers=self.layers[1:])


def wire_of(request: Request, source: str, address: str, identity: str = "") -> Wire:
    """What a caller sends to an address."""
    target = target_of(request)
    spoken = _SPOKEN.get(request.protocol, OPAQUE)
    return Wire(
        source=source,
        address=address,
        port=target.port,
        layers=_layers(request, target.host, identity) if target.secure else (),
        spoken=spoken,
        request=None if spoken == OPAQUE else _http(request, target.authority, target.path),
        proxied=address_of(request.proxy_protocol),
    )


def _layers(request: Request, host: str, identity: str) -> tuple[Tls, ...]:
    tls = request.tls
    name = host if tls is None or tls.server_name is None else tls.server_name
    alpn = _OWN_TLS.get(request.protocol, ()) if tls is None or tls.alpn is None else tls.alpn
    foreign = "a certificate of its own" if tls is not None and tls.certificate and not identity else ""
    verifies = tls is not None and bool(tls.ca)
    return (Tls(sni=name, alpn=alpn, identity=identity, foreign=foreign, trusts=() if verifies else None),)


def _http(request: Request, authority: str, path: bytes) -> HttpRequest:
    headers: dict[str, tuple[str, ...]] = {}
    for name, value in request.headers:
        own = name.lower()
        headers[own] = (*headers.get(own, ()), value)
    authority = headers.pop("host", (authority,))[0] if request.host is None else authority
    headers |= _of_protocol(request, headers)
    return HttpRequest(
        method="POST" if request.protocol is Protocol.GRPC else request.method,
        authority=authority,
        path=path.decode("utf-8", "surrogateescape"),
        headers=headers,
        unknown=frozenset(("baggage",)),
    )


def _of_protocol(request: Request, given: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    added: dict[str, tuple[str, ...]] = {}
    if request.protocol is Protocol.GRPC:
        added = {"content-type": ("application/grpc",), "te": ("trailers",)}
    elif request.protocol is Protocol.WEBSOCKET:
        added = {"upgrade": ("websocket",), "connection": ("Upgrade",)}
    return {name: value for name, value in added.items() if name not in given}
