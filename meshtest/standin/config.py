"""What a stand-in is told when it starts: who it is, what it plays, where it listens, whom it calls.

{"workload", "namespace", "pod", "ip", "identity", "plays", "keySet", "allowServiceAccounts",
 "ports": [{"port", "protocol", "certificate", "key", "ca", "requireClientCertificate", "alpn",
            "proxyProtocol"}],
 "calls": [{"url", "required"}],
 "ready_fd"}
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Plays(Enum):
    """What a stand-in is to others; all but WORKLOAD remember what they received."""

    WORKLOAD = "workload"
    """Any application: it describes the request."""
    EXT_AUTHZ = "ext-authz"
    """Envoy's external authorization, over HTTP and gRPC."""
    KEY_SET = "jwks"
    """A server of the keys that sign the mesh's tokens."""
    COLLECTOR = "collector"
    """Takes spans, as Zipkin and as OpenTelemetry's collector do."""


class Speaks(Enum):
    """What a port speaks; AUTO finds out from the first bytes."""

    AUTO = "auto"
    HTTP = "http"
    H2C = "h2c"
    GRPC = "grpc"
    WEBSOCKET = "websocket"
    TCP = "tcp"
    SERVER_FIRST = "server-first"
    TLS = "tls"
    HTTPS = "https"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenPort:
    """A port to listen on; 0 lets the kernel choose (tests)."""

    number: int
    speaks: Speaks = Speaks.AUTO
    certificate: str = ""
    """PEM chain; empty: a throwaway certificate of its own."""
    key: str = field(default="", repr=False)
    ca: str = ""
    """PEM; client certificates are asked for only when it is given, and verified against it."""
    require_client_certificate: bool = False
    alpn: tuple[str, ...] = ("h2", "http/1.1")
    proxy_protocol: bool = False
    """Whether connections must begin with the PROXY protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Another service that is called for each request received."""

    url: str
    required: bool = False
    """A failure makes the caller's own answer a 502."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A stand-in."""

    workload: str = ""
    namespace: str = ""
    pod: str = ""
    ip: str = ""
    identity: str = ""
    ports: tuple[ListenPort, ...] = ()
    calls: tuple[Call, ...] = ()
    plays: Plays = Plays.WORKLOAD
    key_set: str = ""
    """The JWKS that it serves, as JSON."""
    allowed_accounts: tuple[str, ...] = ()
    """EXT_AUTHZ: service accounts that it allows where no header says so, as over TCP."""
    ready_fd: int | None = None
    """One byte is written to it when every port listens."""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Config:
        """From the JSON that the runtime passes (its keys are in the module's docstring)."""
        ready = data.get("ready_fd")
        return cls(
            workload=str(data.get("workload", "")),
            namespace=str(data.get("namespace", "")),
            pod=str(data.get("pod", "")),
            ip=str(data.get("ip", "")),
            identity=str(data.get("identity", "")),
            ports=tuple(_port(each) for each in data.get("ports", ())),
            calls=tuple(
                Call(url=str(each["url"]), required=bool(each.get("required", False)))
                for each in data.get("calls", ())
            ),
            plays=Plays(data.get("plays", "workload")),
            key_set=str(data.get("keySet", "")),
            allowed_accounts=tuple(data.get("allowServiceAccounts", ())),
            ready_fd=None if ready is None else int(ready),
        )


def _port(data: Mapping[str, Any]) -> ListenPort:
    return ListenPort(
        number=int(data["port"]),
        speaks=Speaks(data.get("protocol", "auto")),
        certificate=str(data.get("certificate") or ""),
        key=str(data.get("key") or ""),
        ca=str(data.get("ca") or ""),
        require_client_certificate=bool(data.get("requireClientCertificate", False)),
        alpn=tuple(data.get("alpn", ("h2", "http/1.1"))),
        proxy_protocol=bool(data.get("proxyProtocol", False)),
    )
