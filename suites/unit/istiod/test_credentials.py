"""Which Secrets the engine gives to which proxy, by istiod's own rules."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    Told = Any

PROXY = {
    "id": "router~10.244.9.9~edge-0.edge~edge.svc.cluster.local",
    "ip": "10.244.9.9",
    "namespace": "edge",
    "labels": {"istio": "edge"},
    "serviceAccount": "edge",
    "readsSecrets": True,
    "cluster": "edge.edge",
    "metadata": {},
    "locality": "",
}
NAME = "kubernetes://shop"


def make(api_version: str, kind: str, name: str, namespace: str, **fields: object) -> dict[str, Any]:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": "2026-01-01T00:00:00Z"},
        **fields,
    }


def gateway(mode: str = "SIMPLE") -> dict[str, Any]:
    server = {
        "port": {"number": 443, "name": "https", "protocol": "HTTPS"},
        "tls": {"mode": mode, "credentialName": "shop"},
        "hosts": ["shop.example.com"],
    }
    spec = {"selector": {"istio": "edge"}, "servers": [server]}
    return make("networking.istio.io/v1", "Gateway", "shop", "default", spec=spec)


def secret(key: str = "key", *, name: str = "shop", namespace: str = "edge", **more: str) -> dict[str, Any]:
    entries = {"tls.crt": "certificate", "tls.key": key, **more}
    data = {entry: base64.b64encode(text.encode()).decode() for entry, text in entries.items()}
    return make("v1", "Secret", name, namespace, data=data)


def given(told: Told) -> dict[str, secret_pb2.Secret]:
    state = told.state.get(PROXY["id"], {})
    return {name: secret_pb2.Secret.FromString(blob) for (kind, name), blob in state.items() if kind == "SDS"}


@pytest.fixture
def edge(told: Told) -> Told:
    told.update(gateway(), proxies=[*told.proxies, PROXY])
    return told


def test_a_gateway_gets_the_secret_that_it_names_and_each_change(edge: Told) -> None:
    assert given(edge) == {}
    edge.update(secret())
    assert given(edge)[NAME].tls_certificate.private_key.inline_bytes == b"key"
    update = edge.update(secret("another"))
    assert [kind for kind, *_ in update.header["proxies"][PROXY["id"]]["set"]] == ["SDS"]
    assert given(edge)[NAME].tls_certificate.private_key.inline_bytes == b"another"
    edge.update(gone=(secret(),))
    assert given(edge) == {}


def test_nobody_else_gets_it(edge: Told) -> None:
    edge.update(secret())
    owners = {node for node, state in edge.state.items() if any(kind == "SDS" for kind, _ in state)}
    assert owners == {PROXY["id"]}
    edge.update(gone=(gateway(),))
    assert given(edge) == {}


@pytest.mark.parametrize(
    "other", [secret(namespace="default"), secret(name="else")], ids=["another namespace", "another name"]
)
def test_other_secrets_are_not_given(edge: Told, other: dict[str, Any]) -> None:
    edge.update(other)
    assert given(edge) == {}


def test_a_mutual_server_gets_the_root_and_the_list_of_the_revoked(edge: Told) -> None:
    edge.update(gateway("MUTUAL"), secret(**{"ca.crt": "root", "ca.crl": "revoked"}))
    context = given(edge)[f"{NAME}-cacert"].validation_context
    assert (context.trusted_ca.inline_bytes, context.crl.inline_bytes) == (b"root", b"revoked")


def test_comes_to_what_a_fresh_engine_has(edge: Told, fresh: Callable[[Told], object]) -> None:
    edge.update(secret("one"))
    edge.update(secret("two"), gateway("MUTUAL"))
    edge.update(secret("two", **{"ca.crt": "root"}))
    assert edge.state == fresh(edge)
