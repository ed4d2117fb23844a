"""TLS of the application's own, spoken by Python's ssl."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import socket
import ssl
from dataclasses import dataclass
from http.client import HTTPSConnection
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from suites.unit.standin.conftest import StandIn, Start

_SPIFFE = "spiffe://cluster.local/ns/default/sa/client"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    certificate: str
    key: str


@pytest.fixture(scope="module")
def own() -> Signed:
    """A self-signed certificate that names both a server and a client."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "own")])
    names = [x509.DNSName("api.example"), x509.UniformResourceIdentifier(_SPIFFE)]
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Signed(certificate=certificate.public_bytes(pem).decode(), key=private.decode())


def _client(alpn: list[str] | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn is not None:
        context.set_alpn_protocols(alpn)
    return context


@contextlib.contextmanager
def _connect(standin: StandIn, context: ssl.SSLContext, name: str = "api.example") -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection(("127.0.0.1", standin.port), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname=name) as sock,
    ):
        yield sock


@pytest.mark.parametrize("protocol", ["auto", "tls", "https"])
def test_serves_http_inside(start: Start, protocol: str) -> None:
    standin = start(ports=[{"port": 0, "protocol": protocol}])
    connection = HTTPSConnection("127.0.0.1", standin.port, context=_client(), timeout=10)
    with contextlib.closing(connection):
        for number in range(3):
            connection.request("POST", f"/{number}", body=b"x" * 300_000)
            told = json.loads(connection.getresponse().read())
            assert (told["path"], told["bodySize"], told["tlsVersion"]) == (f"/{number}", 300_000, "TLSv1.3")


@pytest.mark.parametrize("protocol", ["auto", "tls"])
def test_echoes_inside_and_tells_name_and_alpn(start: Start, protocol: str) -> None:
    standin = start(ports=[{"port": 0, "protocol": protocol, "alpn": ["mongo"]}])
    with _connect(standin, _client(["mongo"])) as sock, sock.makefile("rb") as file:
        sock.sendall(b"\x00hello")
        told = json.loads(file.readline())
        assert (told["protocol"], told["sni"], told["alpn"]) == ("TCP", "api.example", "mongo")
        assert file.read(6) == b"\x00hello"


def test_an_automatic_port_still_speaks_plain(standin: StandIn) -> None:
    assert "sni" not in standin.ask("/").told


def test_shows_the_certificate_it_was_given(start: Start, own: Signed) -> None:
    port = {"port": 0, "protocol": "https", "certificate": own.certificate, "key": own.key}
    context = ssl.create_default_context(cadata=own.certificate)
    with _connect(start(ports=[port]), context) as sock:
        assert ("URI", _SPIFFE) in (sock.getpeercert() or {})["subjectAltName"]


@pytest.fixture
def mutual(own: Signed, tmp_path: Path) -> ssl.SSLContext:
    """A client that shows its certificate."""
    context = _client()
    pem = tmp_path / "client.pem"
    pem.write_text(own.certificate + own.key)
    context.load_cert_chain(pem)
    return context


def _ask(sock: ssl.SSLSocket) -> bytes:
    sock.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    return b"".join(iter(lambda: sock.recv(65536), b""))


def test_reports_a_verified_client_certificate(start: Start, own: Signed, mutual: ssl.SSLContext) -> None:
    standin = start(ports=[{"port": 0, "ca": own.certificate}])
    with _connect(standin, mutual) as sock:
        told = json.loads(_ask(sock).partition(b"\r\n\r\n")[2])
    san = ["DNS:api.example", f"URI:{_SPIFFE}"]
    assert told["clientCertificate"] == {"subject": "commonName=own", "san": san}


def test_a_client_certificate_is_optional_unless_required(start: Start, own: Signed) -> None:
    with _connect(start(ports=[{"port": 0, "ca": own.certificate}]), _client()) as sock:
        assert b"clientCertificate" not in _ask(sock)
    required = start(ports=[{"port": 0, "ca": own.certificate, "requireClientCertificate": True}])
    with pytest.raises(ssl.SSLError, match="certificate required"), _connect(required, _client()) as sock:
        _ask(sock)


def test_what_is_not_tls_is_refused_on_a_tls_port(start: Start) -> None:
    standin = start(ports=[{"port": 0, "protocol": "tls"}])
    with socket.create_connection(("127.0.0.1", standin.port), timeout=10) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert b"HTTP/" not in b"".join(iter(lambda: sock.recv(65536), b""))
    with _connect(standin, _client()) as sock:
        assert b"200 OK" in _ask(sock)


def test_ends_as_tls_ends(start: Start) -> None:
    """A missing close_notify would be an error here: suppress_ragged_eofs is off."""
    standin = start(ports=[{"port": 0, "protocol": "https"}])
    raw = socket.create_connection(("127.0.0.1", standin.port), timeout=10)
    with raw, _client().wrap_socket(raw, suppress_ragged_eofs=False) as sock:
        assert b"connection: close" in _ask(sock)


def test_resets_through_tls(standin: StandIn) -> None:
    with _connect(standin, _client()) as sock:
        sock.sendall(b"GET /?uuid=a&succeedAfter=1 HTTP/1.1\r\nhost: a\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            # Below TLS, which takes a reset for a ragged end.
            list(iter(lambda: socket.socket.recv(sock, 65536), b""))
