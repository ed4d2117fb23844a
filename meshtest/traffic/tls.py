"""The caller's own TLS: contexts from ClientTls, and how a failed handshake reads."""

from __future__ import annotations

import os
import re
import ssl
import warnings
from typing import TYPE_CHECKING

from meshtest.traffic.model import ClientTls, Outcome, Protocol
from meshtest.traffic.reply import Failed, cause
from meshtest.traffic.resolve import is_address

if TYPE_CHECKING:
    from meshtest.traffic.model import Request
    from meshtest.traffic.target import Target

_DEFAULT_ALPN: dict[Protocol, tuple[str, ...]] = {
    Protocol.HTTPS: ("http/1.1",),
    Protocol.HTTP: ("http/1.1",),
    Protocol.HTTP10: ("http/1.0",),
    Protocol.WEBSOCKET: ("http/1.1",),
    Protocol.H2: ("h2",),
    Protocol.H2C: ("h2",),
    Protocol.GRPC: ("h2",),
}
_OLD = frozenset({"1.0", "1.1"})


def context_of(request: Request) -> ssl.SSLContext:
    """The TLS context that a request asks for; ValueError and ssl.SSLError mean that it asks for nonsense."""
    tls = request.tls or ClientTls()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = bool(tls.ca) and tls.verify_name
    context.verify_mode = ssl.CERT_REQUIRED if tls.ca else ssl.CERT_NONE
    if tls.ca:
        context.load_verify_locations(cadata=tls.ca)
    _set_versions(context, tls)
    alpn = tls.alpn if tls.alpn is not None else _DEFAULT_ALPN.get(request.protocol, ())
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if tls.certificate:
        _load_certificate(context, tls)
    return context


def server_name(request: Request, target: Target) -> str:
    """The SNI to send; empty for none."""
    if request.tls is not None and request.tls.server_name is not None:
        return request.tls.server_name
    return "" if is_address(target.host) else target.host.rstrip(".")


def negotiated(connection: ssl.SSLObject | None) -> tuple[str, str]:
    """What was agreed: ALPN protocol, and the server's certificate as PEM."""
    if connection is None:
        return "", ""
    der = connection.getpeercert(binary_form=True)
    return connection.selected_alpn_protocol() or "", ssl.DER_cert_to_PEM_cert(der) if der else ""


def broken(exc: BaseException | None, connection: ssl.SSLObject | None) -> Failed:
    """A connection that ended before any response: a reset, or a handshake that the server refused late.

    With TLS 1.3 the client has finished its handshake before the server has seen its certificate. A server
    that accepts it sends session tickets next, so an end without ticket or data is that of the handshake.
    """
    if isinstance(exc, ssl.SSLError) and "ALERT" in str(exc.reason or "").upper():
        return Failed(Outcome.HANDSHAKE_FAILURE, cause(exc))
    if connection is not None and connection.version() == "TLSv1.3":
        session = connection.session
        if session is None or not session.has_ticket:
            return Failed(Outcome.HANDSHAKE_FAILURE, f"{cause(exc)} right after the handshake")
    return Failed(Outcome.RESET, cause(exc))


def _set_versions(context: ssl.SSLContext, tls: ClientTls) -> None:
    ciphers = tls.ciphers
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # old versions are what a test may want to see refused
        if tls.min_version:
            context.minimum_version = _version(tls.min_version)
        if tls.max_version:
            context.maximum_version = _version(tls.max_version)
            context.minimum_version = min(context.minimum_version, context.maximum_version)
        if {_number(tls.min_version), _number(tls.max_version)} & _OLD:
            ciphers = f"{ciphers or 'ALL'}:@SECLEVEL=0"  # OpenSSL 3 has no TLS 1.0 and 1.1 above level 0
    if ciphers:
        context.set_ciphers(ciphers)


def _number(text: str) -> str:
    """`1.2` of `1.2`, `TLSv1.2`, `TLSv1_2` (Istio) and `TLS 1.2`."""
    found = re.search(r"1[._]([0-3])$", text)
    if found is None and text.lower().endswith("v1"):
        return "1.0"
    return f"1.{found[1]}" if found else text


def _version(text: str) -> ssl.TLSVersion:
    number = _number(text)
    name = "TLSv1" if number == "1.0" else f"TLSv{number.replace('.', '_')}"
    try:
        return ssl.TLSVersion[name]
    except KeyError:
        raise ValueError(f"unknown TLS version {text!r}; expected 1.0, 1.1, 1.2 or 1.3") from None


def _load_certificate(context: ssl.SSLContext, tls: ClientTls) -> None:
    # OpenSSL's Python binding reads keys from files only; this one has no name and never touches a disk.
    fd = os.memfd_create("meshtest-client-certificate", os.MFD_CLOEXEC)
    try:
        os.fchmod(fd, 0o600)
        with os.fdopen(os.dup(fd), "wb") as file:
            file.write(f"{tls.certificate}\n{tls.key}\n".encode())
        context.load_cert_chain(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)
