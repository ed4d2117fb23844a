"""The certificates of hosts outside the mesh: what their stand-ins show, and what proxies and policies are given.

public authority ──► every proxy's system roots          an authority per host ──► files and Secrets it is asked for
└──► certificates of hosts (`certificate: public`)          └──► certificates: of the host, of its clients
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from meshtest.errors import Location
from meshtest.mesh.external import (
    CA,
    CLIENT_CERTIFICATE,
    CLIENT_KEY,
    EXPIRED,
    PUBLIC,
    SELF_SIGNED,
    SPOKEN,
    WRONG_NAME,
)
from meshtest.mesh.model import Manifest, ObjectRef

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.envoy.pki import Authority, Certificate
    from meshtest.mesh.external import ExternalHost, ExternalPort

_HOUR = 3600
_SECRET_KEYS = {"ca.crt": CA, "tls.crt": CLIENT_CERTIFICATE, "tls.key": CLIENT_KEY}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a host outside lets others have, all PEM."""

    ca: str
    """What its certificate is verified by."""
    client_certificate: str
    """One that it accepts under MUTUAL."""
    client_key: str = field(repr=False)

    def of(self, word: str) -> str:
        """By the words of `files:`."""
        return {CA: self.ca, CLIENT_CERTIFICATE: self.client_certificate, CLIENT_KEY: self.client_key}[word]


class Externals:
    """The hosts outside one mesh; nothing is issued before it is needed."""

    def __init__(self, hosts: Mapping[str, ExternalHost], authority: Authority | None = None) -> None:
        self.hosts = hosts
        self._given = authority
        self._made: dict[str, _Issued] = {}

    @property
    def speak_tls(self) -> bool:
        """Whether any of them does."""
        return any(host.speaks_tls for host in self.hosts.values())

    @cached_property
    def _public(self) -> Authority:
        from meshtest.envoy.pki import Authority  # noqa: PLC0415 - dear, and only for TLS

        return self._given or Authority("meshtest public CA")

    @property
    def public_root(self) -> str:
        """What every proxy trusts as roots of its system; empty where nobody needs it."""
        return self._public.root if self.speak_tls else ""

    def ports(self, name: str) -> list[dict[str, Any]]:
        """What the stand-in of a host is told of its ports."""
        host = self.hosts[name]
        return [self._port(name, host, port) for port in host.ports]

    def credentials(self, name: str) -> Credentials:
        """What a host lets others have."""
        return self._issued(name).credentials

    def files(self) -> dict[str, str]:
        """Path -> PEM, as every proxy finds it."""
        return {
            path: self.credentials(name).of(word)
            for name, host in self.hosts.items()
            for path, word in host.files.items()
        }

    def secrets(self) -> list[Manifest]:
        """The Secrets that hold what hosts let others have."""
        return [
            _secret(secret, self.credentials(name))
            for name, host in self.hosts.items()
            for secret in host.secrets
        ]

    def _port(self, name: str, host: ExternalHost, port: ExternalPort) -> dict[str, Any]:
        told: dict[str, Any] = {
            "port": port.number,
            "protocol": SPOKEN[port.protocol],
            "proxyProtocol": port.proxy_protocol,
        }
        if port.protocol not in ("HTTPS", "TLS"):
            return told
        issued = self._issued(name)
        told |= {"certificate": issued.certificate, "key": issued.key}
        if host.tls.mode == "MUTUAL":
            told |= {"ca": host.tls.ca_certificates or issued.clients, "requireClientCertificate": True}
        return told

    def _issued(self, name: str) -> _Issued:
        if name not in self._made:
            self._made[name] = _issue(name, self.hosts[name], self._public)
        return self._made[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Issued:
    """Everything that is issued for one host."""

    certificate: str
    key: str = field(repr=False)
    clients: str
    """What its clients' certificates are verified by."""
    credentials: Credentials


def _issue(name: str, host: ExternalHost, public: Authority) -> _Issued:
    from meshtest.envoy.pki import Authority  # noqa: PLC0415 - as above

    own = Authority(f"{name} CA")
    client = own.issue("", dns=(f"client.{name.removeprefix('*.')}",))
    shown = _shown(name, host, public, own)
    self_signed = host.tls.certificate == SELF_SIGNED
    return _Issued(
        certificate=host.tls.server_certificate or shown.certificate,
        key=host.tls.private_key or shown.key,
        clients=own.root,
        credentials=Credentials(
            ca=host.tls.server_certificate or (shown.certificate if self_signed else shown.root),
            client_certificate=client.certificate,
            client_key=client.key,
        ),
    )


def _shown(name: str, host: ExternalHost, public: Authority, own: Authority) -> Certificate:
    """The certificate that a host shows, right or wrong."""
    kind = host.tls.certificate
    names = ("elsewhere.invalid",) if kind == WRONG_NAME else (name, *host.names)
    authority = public if kind in (PUBLIC, EXPIRED, WRONG_NAME) else own
    before, after = (-2 * _HOUR, -_HOUR) if kind == EXPIRED else (-_HOUR, 24 * _HOUR)
    return authority.issue("", dns=names, not_before=before, not_after=after, self_signed=kind == SELF_SIGNED)


def _secret(key: str, credentials: Credentials) -> Manifest:
    namespace, _, name = key.partition("/")
    data = {each: _base64(credentials.of(word)) for each, word in _SECRET_KEYS.items()}
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"namespace": namespace, "name": name},
        "data": data,
    }
    ref = ObjectRef(api_version="v1", kind="Secret", namespace=namespace, name=name)
    return Manifest(ref=ref, body=body, location=Location(file="<meshtest's own Secret>", line=1))


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
