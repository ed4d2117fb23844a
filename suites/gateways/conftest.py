"""Certificates, and the Secrets and ConfigMaps that hold them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from meshtest.envoy.pki import Authority

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.envoy.pki import Certificate

HOST = "shop.example.com"


@pytest.fixture(scope="session")
def authority() -> Authority:
    """Whom clients trust."""
    return Authority("shop")


@pytest.fixture(scope="session")
def shown(authority: Authority) -> Certificate:
    """What the gateway shows."""
    return authority.issue("", dns=(HOST,))


@pytest.fixture(scope="session")
def secret() -> Callable[..., str]:
    """A Secret as YAML; `__` in a key stands for the dot."""

    def of(name: str, *, namespace: str = "istio-system", kind: str = "Opaque", **entries: str) -> str:
        data = {
            key.replace("__", "."): base64.b64encode(text.encode()).decode() for key, text in entries.items()
        }
        metadata = {"name": name, "namespace": namespace}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "data": data}
        return f"---\n{yaml.safe_dump(body)}"

    return of


@pytest.fixture(scope="session")
def tls_secret(secret: Callable[..., str]) -> Callable[..., str]:
    """A Secret of type kubernetes.io/tls."""

    def of(name: str, held: Certificate, **fields: Any) -> str:
        return secret(name, kind="kubernetes.io/tls", tls__crt=held.certificate, tls__key=held.key, **fields)

    return of


@pytest.fixture(scope="session")
def config_map() -> Callable[..., str]:
    """A ConfigMap with a root."""

    def of(name: str, root: str, namespace: str = "default") -> str:
        metadata = {"name": name, "namespace": namespace}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ca.crt": root}}
        return f"---\n{yaml.safe_dump(body)}"

    return of


@pytest.fixture(scope="session")
def as_client() -> Callable[[Certificate], dict[str, str]]:
    """What a request needs to show a certificate."""
    return lambda held: {"certificate": held.certificate, "key": held.key}
