"""What a TLS port shows and asks for: its certificate, or a throwaway one, and its clients' certificates."""

from __future__ import annotations

import ssl
import tempfile
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from meshtest.standin.facts import TlsFacts

if TYPE_CHECKING:
    from meshtest.standin.config import Config, ListenPort


class TlsPort:
    """The TLS side of a port; made at its first handshake."""

    def __init__(self, config: Config, port: ListenPort) -> None:
        self._names: WeakKeyDictionary[ssl.SSLObject, str] = WeakKeyDictionary()
        certificate, key = port.certificate, port.key
        if not certificate:
            certificate, key = throwaway(config)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # ssl reads certificates from files only.
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(f"{certificate}\n{key}\n")
            file.flush()
            self.context.load_cert_chain(file.name)
        if port.ca:
            self.context.load_verify_locations(cadata=port.ca)
            required = port.require_client_certificate
            self.context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
        if port.alpn:
            self.context.set_alpn_protocols(list(port.alpn))
        self.context.sni_callback = self._note_name

    def facts(self, connection: ssl.SSLObject) -> TlsFacts:
        """What a handshake settled."""
        return TlsFacts(
            sni=self._names.get(connection, ""),
            alpn=connection.selected_alpn_protocol() or "",
            version=connection.version() or "",
            client_certificate=_told(connection.getpeercert()),
        )

    def _note_name(self, connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        if name:
            self._names[connection] = name


def _told(certificate: Any) -> dict[str, Any] | None:
    """Python's own dictionary of a verified certificate, in short."""
    if not certificate:
        return None
    subject = [f"{name}={value}" for part in certificate.get("subject", ()) for name, value in part]
    return {
        "subject": ",".join(subject),
        "san": [f"{kind}:{value}" for kind, value in certificate.get("subjectAltName", ())],
    }


def throwaway(config: Config) -> tuple[str, str]:
    """A self-signed certificate and its key as PEM, valid for the workload's name for a day."""
    import datetime as dt  # noqa: PLC0415 - only where TLS is spoken without a certificate of its own

    from cryptography import x509  # noqa: PLC0415 - likewise, and dear
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    workload, namespace = config.workload or "meshtest", config.namespace or "default"
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, workload)])
    hosts = (workload, f"{workload}.{namespace}.svc.cluster.local", "localhost")
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem).decode(), private.decode()
