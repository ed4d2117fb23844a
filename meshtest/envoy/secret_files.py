"""Secrets that are files, as a DestinationRule with `clientCertificate` or `caCertificates` asks for them.

istiod names them `file-cert:CERTIFICATE~KEY`, `file-root:FILE` and `file-root:system`, which Istio's agent answers
from the proxy's own disk (istio/istio: pkg/model/credentials.go, security/pkg/nodeagent/cache).
"""

from __future__ import annotations

import ssl
from pathlib import Path

_CERT = "file-cert:"
_ROOT = "file-root:"
_SYSTEM = "system"
_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


def read(name: str) -> dict[str, str] | None:
    """PEM under `cert` and `key`, or under `ca`; None where the name is none of files, or one is not there."""
    try:
        if name.startswith(_CERT):
            certificate, _, key = name.removeprefix(_CERT).partition("~")
            return {"cert": _text(certificate), "key": _text(key)}
        if name.startswith(_ROOT):
            path = name.removeprefix(_ROOT)
            return {"ca": _text(_system() if path == _SYSTEM else path)}
    except OSError:
        return None
    return None


def _text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def _system() -> str:
    """The file of the roots that this system trusts."""
    default = ssl.get_default_verify_paths().cafile
    return next((path for path in (default, *_BUNDLES) if path and Path(path).is_file()), _BUNDLES[0])
