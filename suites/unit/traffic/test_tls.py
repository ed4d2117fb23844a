from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from meshtest.traffic.client import Traffic
from meshtest.traffic.model import ClientTls, Outcome, Protocol, Request

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from meshtest.traffic.client import TrafficDriver

    Serve = Callable[..., int]

CALLER = "default/caller"


@dataclass(frozen=True)
class Issued:
    certificate: str
    key: str


def issue(name: str) -> Issued:
    """A self-signed certificate that is its own CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    return Issued(
        made.public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    )


@pytest.fixture(scope="module")
def ours() -> Issued:
    return issue("server.example")


@pytest.fixture(scope="module")
def other() -> Issued:
    return issue("stranger.example")


class Server:
    """Answers HTTP/1.1 over TLS and remembers what the handshake showed."""

    def __init__(
        self, issued: Issued, folder: Path, *, client_ca: str = "", alpn: tuple[str, ...] = ()
    ) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        file = folder / "server.pem"
        file.write_text(issued.certificate + issued.key)
        self.context.load_cert_chain(file)
        self.names: list[str | None] = []
        self.subjects: list[str] = []
        self.context.sni_callback = lambda _, name, __: self.names.append(name)
        if alpn:
            self.context.set_alpn_protocols(list(alpn))
        if client_ca:
            self.context.load_verify_locations(cadata=client_ca)
            self.context.verify_mode = ssl.CERT_REQUIRED

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peercert")
        if peer:
            self.subjects.append(peer["subject"][0][0][1])
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")


@pytest.fixture
def refuse(ours: Issued, tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Starts a server that ends connections after the handshake; unlike asyncio's, it sends alerts."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(**settings: str) -> int:
        context = Server(ours, tmp_path, client_ca=settings.get("client_ca", "")).context
        if "minimum" in settings:
            context.minimum_version = ssl.TLSVersion[settings["minimum"]]
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def run() -> None:
            while True:
                try:
                    accepted, _ = listener.accept()
                except OSError:
                    return
                with (
                    accepted,
                    contextlib.suppress(OSError),
                    context.wrap_socket(accepted, server_side=True) as wrapped,
                ):
                    wrapped.recv(1000)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return int(listener.getsockname()[1])

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join(5)


def https(port: int, **tls: object) -> Request:
    return Request(url=f"https://127.0.0.1:{port}/", protocol=Protocol.HTTPS, tls=ClientTls(**tls))  # type: ignore[arg-type]


def test_https_shows_the_name_and_reports_the_certificate(
    driver: TrafficDriver, serve: Serve, ours: Issued, tmp_path: Path
) -> None:
    server = Server(ours, tmp_path)
    name = "outbound_.9080_.v1_.reviews.default.svc.cluster.local"
    one = driver.request(CALLER, https(serve(server, server.context), server_name=name))
    assert (one.outcome, one.status) == (Outcome.RESPONSE, 200)
    assert server.names == [name]
    assert one.server_certificate == ours.certificate


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_client_certificate_is_shown(
    driver: TrafficDriver, serve: Serve, ours: Issued, other: Issued, tmp_path: Path, version: str
) -> None:
    server = Server(ours, tmp_path, client_ca=other.certificate)
    request = https(
        serve(server, server.context), certificate=other.certificate, key=other.key, max_version=version
    )
    assert driver.request(CALLER, request).status == 200
    assert server.subjects == ["stranger.example"]


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("shown", [False, True], ids=["none", "unknown"])
def test_a_refused_client_certificate_is_a_handshake_failure(
    driver: TrafficDriver,
    refuse: Serve,
    ours: Issued,
    other: Issued,
    version: str,
    shown: bool,  # noqa: FBT001
) -> None:
    tls = {"certificate": other.certificate, "key": other.key} if shown else {}
    one = driver.request(CALLER, https(refuse(client_ca=ours.certificate), max_version=version, **tls))
    assert one.outcome is Outcome.HANDSHAKE_FAILURE
    assert "alert" in one.error


def test_an_untrusted_server_is_a_handshake_failure(
    driver: TrafficDriver, serve: Serve, ours: Issued, other: Issued, tmp_path: Path
) -> None:
    server = Server(ours, tmp_path)
    port = serve(server, server.context)
    assert driver.request(CALLER, https(port, ca=ours.certificate)).status == 200
    one = driver.request(CALLER, https(port, ca=other.certificate))
    assert one.outcome is Outcome.HANDSHAKE_FAILURE
    assert one.error.startswith("certificate verify failed: ")
    assert "certificate" in one.error.partition(": ")[2]
    named = https(port, ca=ours.certificate, verify_name=True, server_name="wrong.example")
    two = driver.request(CALLER, named)
    assert two.outcome is Outcome.HANDSHAKE_FAILURE
    assert "wrong.example" in two.error


def test_a_version_that_the_server_has_not_is_a_handshake_failure(
    driver: TrafficDriver, refuse: Serve
) -> None:
    one = driver.request(CALLER, https(refuse(minimum="TLSv1_3"), max_version="TLSv1_2"))
    assert one.outcome is Outcome.HANDSHAKE_FAILURE
    assert "alert protocol version" in one.error


def test_no_tls_at_the_other_end_is_a_handshake_failure(driver: TrafficDriver, serve: Serve) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    one = driver.request(CALLER, https(serve(plain)))
    assert one.outcome is Outcome.HANDSHAKE_FAILURE


def test_a_close_after_a_whole_handshake_is_a_reset(
    driver: TrafficDriver, serve: Serve, ours: Issued, tmp_path: Path
) -> None:
    async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = Server(ours, tmp_path)
    assert driver.request(CALLER, https(serve(closes, server.context))).outcome is Outcome.RESET


@pytest.mark.parametrize(
    ("offered", "taken", "spoken"),
    [(("h2", "http/1.1"), ("http/1.1",), "HTTP/1.1"), (("http/1.1",), ("h2", "http/1.1"), "HTTP/1.1")],
)
def test_alpn_decides_the_version(
    driver: TrafficDriver,
    serve: Serve,
    ours: Issued,
    tmp_path: Path,
    offered: tuple[str, ...],
    taken: tuple[str, ...],
    spoken: str,
) -> None:
    server = Server(ours, tmp_path, alpn=taken)
    assert driver.request(CALLER, https(serve(server, server.context), alpn=offered)).protocol == spoken


def test_a_load_reuses_tls_connections(
    driver: TrafficDriver, serve: Serve, ours: Issued, tmp_path: Path
) -> None:
    server = Server(ours, tmp_path)
    request = Request(
        url=f"https://127.0.0.1:{serve(server, server.context)}/", protocol=Protocol.HTTPS, reuse=True
    )
    ended = driver.send(Traffic(caller=CALLER, requests=[request], count=20, concurrency=2))
    assert {one.status for one in ended} == {200}
    assert len({one.local_address for one in ended}) == 2
