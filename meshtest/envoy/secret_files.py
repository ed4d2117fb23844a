"""Secrets that are files, as a DestinationRule with `clientCertificate` or `caCertificates` asks for them.

istiod names them `file-cert:CERTIFICATE~KEY`, `file-root:FILE` and `file-root:system`, which Istio's agent answers
from the proxy's own disk (istio/istio: pkg/model/credentials.go, security/pkg/nodeagent/cache).
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

EVERYBODY = "*"
_CERT = "file-cert:"
_ROOT = "file-root:"
PREFIXES = (_CERT, _ROOT)
_SYSTEM = "system"
_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


class Disk:
    """The files that proxies see: those that were put there, before those of this machine."""

    def __init__(self) -> None:
        self._files: dict[str, Mapping[str, str]] = {}
        self._roots = ""

    def furnish(self, header: Mapping[str, Any]) -> bool:
        """Take in what proxies find: each its own `files`, everybody those of the mesh; whether any is new."""
        news = [self.put(str(told["id"]), told.get("files") or {}) for told in header.get("proxies", ())]
        if "files" in header:
            news += [self.put(EVERYBODY, header["files"]), self.trust(str(header.get("roots", "")))]
        return any(news)

    def put(self, node: str, files: Mapping[str, str]) -> bool:
        """Have a proxy (or everybody) see these files; whether that is new."""
        before = self._files.get(node, {})
        if files:
            self._files[node] = dict(files)
        else:
            self._files.pop(node, None)
        return before != files

    def trust(self, roots: str) -> bool:
        """Have everybody's system trust these authorities, too; whether that is new."""
        before, self._roots = self._roots, roots
        return before != roots

    def read(self, node: str, name: str) -> dict[str, str] | None:
        """PEM under `cert` and `key`, or under `ca`; None where the name is none of files, or one is not there."""
        try:
            if name.startswith(_CERT):
                certificate, _, key = name.removeprefix(_CERT).partition("~")
                return {"cert": self._text(node, certificate), "key": self._text(node, key)}
            if name.startswith(_ROOT):
                path = name.removeprefix(_ROOT)
                return {"ca": self._system() if path == _SYSTEM else self._text(node, path)}
        except OSError:
            return None
        return None

    def _text(self, node: str, path: str) -> str:
        for owner in (node, EVERYBODY):
            found = self._files.get(owner, {}).get(path)
            if found is not None:
                return found
        return Path(path).read_text(encoding="utf-8")

    def _system(self) -> str:
        """The roots that this system trusts, as far as it has any, and those that it was told to trust."""
        default = ssl.get_default_verify_paths().cafile
        bundle = next((path for path in (default, *_BUNDLES) if path and Path(path).is_file()), None)
        if bundle is None and not self._roots:
            raise FileNotFoundError(_SYSTEM)
        return "\n".join([*([Path(bundle).read_text(encoding="utf-8")] if bundle else []), self._roots])
