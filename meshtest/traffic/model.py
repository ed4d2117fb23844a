"""Requests, and what became of them.

Request ──driver──► Exchange (what the caller saw) + Hop per sidecar crossed + Backend (what the callee saw)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any

from meshtest.traffic.pairs import Headers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshtest.errors import Location


class Outcome(StrEnum):
    """How an exchange ended, as the caller's client saw it."""

    RESPONSE = "response"
    RESET = "reset"
    """The connection was closed or reset before a whole response."""
    TIMEOUT = "timeout"
    HANDSHAKE_FAILURE = "handshake-failure"
    REFUSED = "refused"
    UNRESOLVED = "unresolved"
    """The name has no address."""


class Protocol(Enum):
    """What the caller speaks."""

    HTTP = "http"
    HTTPS = "https"
    H2C = "h2c"
    H2 = "h2"
    """HTTP/2 over TLS."""
    GRPC = "grpc"
    TCP = "tcp"
    TLS = "tls"
    WEBSOCKET = "websocket"
    HTTP10 = "http/1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """The caller's own TLS, apart from the mesh's."""

    server_name: str | None = None
    """SNI; None: the URL's host, empty: none is sent."""
    alpn: tuple[str, ...] | None = None
    """None: what the protocol needs; empty: none is offered."""
    certificate: str = ""
    """PEM chain of an explicit client certificate."""
    key: str = field(default="", repr=False)
    ca: str = ""
    """PEM; empty: the server is not verified."""
    verify_name: bool = False
    """With `ca`: the certificate must also bear the server name (SPIFFE certificates bear none)."""
    min_version: str = ""
    max_version: str = ""
    ciphers: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as the driver sends it; the path goes out byte for byte as written."""

    url: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    protocol: Protocol = Protocol.HTTP
    host: str | None = None
    """Host header or :authority, where it is not the URL's."""
    address: str | None = None
    """Where to connect, where it is not what the URL's host resolves to."""
    port: int | None = None
    tls: ClientTls | None = None
    timeout: float = 15.0
    follow_redirects: bool = False
    server_first: bool = False
    """TCP: wait for the server's greeting before sending."""
    half_close: bool = False
    reuse: bool = False
    """Send over a pooled connection of the caller (load); single requests open their own."""
    request_id: bool = True
    """Whether the driver adds an `x-request-id`, by which calls of calls and spans are found; it does not where
    `proxyHeaders` has the caller's proxy give none, or some proxy where the caller has none itself."""
    messages: int = 1
    """gRPC streaming and WebSocket: how many messages are sent."""
    proxy_protocol: str = ""
    """Whom the caller passes the connection on for, told in front of it by the PROXY protocol: `203.0.113.7:40000`
    (version 1), `v2 203.0.113.7`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendRequest:
    """The request as the application received it."""

    method: str = ""
    path: str = ""
    host: str = ""
    protocol: str = ""
    headers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Lower-case names."""
    body: bytes = b""
    sni: str = ""
    alpn: str = ""
    client_certificate: str = ""
    """Subject and names of the certificate that a client showed the application itself, past any sidecar."""
    proxy_protocol: str = ""
    """The version of the PROXY protocol that the connection began with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendReply:
    """Who answered, in its own words (the stand-in service's JSON), and what it received."""

    workload: str
    namespace: str
    pod: str
    request: BackendRequest
    peer_identity: str = ""
    """The SPIFFE identity its sidecar verified (XFCC), empty over plaintext."""
    attempt: int = 1
    calls: Sequence[Mapping[str, Any]] = ()
    """What it called in turn: url, status or outcome, and that backend's own reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One access log line of one sidecar or gateway; `raw` is the line."""

    pod: str
    side: str
    layer: str
    status: int | None
    flags: str
    details: str
    attempts: int
    """Attempts made (outbound)."""
    attempt: int
    """Which attempt this was (inbound)."""
    route: str
    config: str
    cluster: str
    upstream: str
    peer: str
    tls: str
    upstream_peer: str
    start: float
    duration_ms: float
    faults: tuple[str, ...]
    mirror: bool = False
    """Whether it is about a copy that a route mirrored, not about the request itself."""
    raw: Mapping[str, Any] = field(repr=False, default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The policy that decided an exchange, and where the user wrote it."""

    kind: str
    namespace: str
    name: str
    """Empty where it was the absence of a policy that matched."""
    effect: str
    """`denied` or `routed`.

    Among `policies` also `allowed`, `audited`, and of a dry run `would be denied`, `would be allowed`.
    """
    rule: int | None = None
    """Index in `spec.rules` of an AuthorizationPolicy or of a Gateway API route."""
    location: Location | None = None
    pod: str = ""
    """Whose sidecar or gateway it was, `namespace/name`."""
    reason: str = ""
    """Why, in Envoy's words, where it says more than that the policy matched."""

    def __str__(self) -> str:
        rule = f" rule {self.rule}" if self.rule is not None else ""
        where = f" ({self.location})" if self.location else ""
        why = f": {self.reason}" if self.reason else ""
        if self.name:
            return f"{self.effect} by {self.kind} {self.namespace}/{self.name}{rule}{where}{why}"
        return (
            f"{self.effect} by a {self.kind}{why}" if why else f"{self.effect} since no {self.kind} matched"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One span that a collector received from a sidecar or gateway."""

    pod: str
    """Whose, `namespace/name`; empty where the span does not tell."""
    service: str
    name: str
    kind: str
    """`client` or `server`."""
    trace_id: str
    span_id: str
    parent_id: str
    protocol: str
    """`zipkin` or `otlp`."""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line that a sidecar or gateway wrote to its standard output."""

    pod: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and all that is known of it. Times are epoch seconds."""

    id: str
    caller: str
    """The caller's pod, `namespace/name`."""
    request: Request
    outcome: Outcome
    started: float
    """Intended start (open loop) or actual start."""
    latency: float
    """Seconds from `started` to the end of the response."""
    sent_late: float = 0.0
    """Seconds by which the driver fell behind the intended start."""
    status: int | None = None
    grpc_status: int | None = None
    headers: Headers = Headers()  # noqa: RUF009 - an empty tuple
    """Those of a whole response; a response cut short has the outcome `reset` or `timeout` and no status."""
    trailers: Headers = Headers()  # noqa: RUF009 - an empty tuple
    body: bytes = b""
    """What came back, also of a response cut short; gRPC: the first message."""
    messages: tuple[bytes, ...] = ()
    """gRPC and WebSocket: every message that came back."""
    protocol: str = ""
    """What was spoken in the end: HTTP/1.1, HTTP/2, TCP."""
    error: str = ""
    """What the operating system, TLS or HTTP/2 said, where the outcome is no response; the gRPC message."""
    local_address: str = ""
    remote_address: str = ""
    server_certificate: str = field(default="", repr=False)
    """PEM of the peer's leaf certificate where the caller itself spoke TLS."""
    redirects: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    """Ids of the faults whose mark it carried."""
    backend: BackendReply | None = None
    hops: tuple[Hop, ...] = ()
    complete: bool = True
    """Whether every access log line that must exist was found; False makes checks on evidence unknown."""
    decided_by: Decision | None = None
    """The policy that denied it, else the one that routed it; as the sidecars' logs name it."""
    policies: tuple[Decision, ...] = ()
    """Which AuthorizationPolicies let it through, and what those in a dry run would have done, hop by hop."""
    spans: tuple[Span, ...] | None = None
    """What collectors received about it; None: nobody has asked them (`Mesh.collect`)."""
    access_log: tuple[LogLine, ...] | None = None
    """What sidecars wrote about it since Telemetry or MeshConfig wants it; None: nobody has looked (`Mesh.collect`)."""

    def __post_init__(self) -> None:
        """Give headers their lookup by name."""
        object.__setattr__(self, "headers", Headers(self.headers))
        object.__setattr__(self, "trailers", Headers(self.trailers))

    @property
    def attempts(self) -> int | None:
        """Attempts that the caller's own sidecar, else the first gateway or sidecar on the way, made."""
        sent = [hop for hop in self.hops if hop.side != "inbound" and hop.attempts and not hop.mirror]
        own = [hop for hop in sent if hop.pod == self.caller]
        return next((hop.attempts for hop in own or sent), None)

    @property
    def peer_identity(self) -> str:
        """The SPIFFE identity that the last sidecar on the way verified, else the one the backend reports."""
        seen = [hop.peer for hop in self.hops if hop.side == "inbound" and hop.peer and not hop.mirror]
        return seen[-1] if seen else self.backend.peer_identity if self.backend else ""

    @property
    def mirrors(self) -> tuple[Hop, ...]:
        """What the sidecars logged of its mirrored copies: one hop where each arrived."""
        return tuple(hop for hop in self.hops if hop.mirror and hop.side == "inbound")
