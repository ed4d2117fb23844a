"""Headers that proxies add by themselves, and how `proxyHeaders` of `defaultConfig` changes that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop")

CLIENT, URL = "shop/orders", "http://catalog-v1/"
SANITIZED = "defaultConfig: {proxyHeaders: {forwardedClientCert: SANITIZE}}"
DETAILED = """
defaultConfig:
  proxyHeaders:
    forwardedClientCert: SANITIZE_SET
    setCurrentClientCertDetails: {subject: false, uri: true, dns: false, cert: true, chain: true}
"""
BARE = """
defaultConfig:
  proxyHeaders:
    forwardedClientCert: SANITIZE_SET
    setCurrentClientCertDetails: {subject: true, uri: false, dns: true, cert: false, chain: false}
"""
NAMED = "defaultConfig: {proxyHeaders: {server: {value: shop-proxy}}}"
SILENT = """
defaultConfig:
  proxyHeaders:
    server: {disabled: true}
    attemptCount: {disabled: true}
    envoyDebugHeaders: {disabled: true}
    metadataExchangeHeaders: {mode: IN_MESH}
"""
FORWARDED = (
    "defaultConfig: {proxyHeaders: {xForwardedHost: {enabled: true}, xForwardedPort: {enabled: true}}}"
)
AS_WRITTEN = "defaultConfig: {proxyHeaders: {preserveHttp1HeaderCase: true}}"
OTHER_HOST = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog-v1]
  http: [{rewrite: {authority: books.example.com}, route: [{destination: {host: catalog-v1}}]}]
"""


def sent(one: Exchange, name: str) -> str | None:
    """A header as the application received it."""
    assert one.backend is not None
    found = one.backend.request.headers.get(name)
    return None if found is None else ",".join(found)


def parts(one: Exchange) -> set[str]:
    """What the callee is told of the caller's certificate."""
    told = sent(one, "x-forwarded-client-cert") or ""
    return {part.partition("=")[0] for part in told.split(";") if part}


def test_the_callers_certificate(mesh: Mesh) -> None:
    assert parts(mesh.request(CLIENT, URL)) == {"By", "Hash", "Subject", "URI"}
    for config, expected in ((SANITIZED, set()), (DETAILED, {"By", "Hash", "URI", "Cert", "Chain"})):
        mesh.replace(mesh_config=config)
        assert parts(mesh.request(CLIENT, URL)) == expected
    mesh.replace(mesh_config=BARE)
    assert parts(mesh.request(CLIENT, URL)) == {"By", "Hash", "Subject"}


def test_what_proxies_say_of_themselves(mesh: Mesh) -> None:
    one = mesh.request(CLIENT, URL)
    assert one.headers["server"] == "envoy"
    assert (sent(one, "x-envoy-attempt-count"), "x-envoy-upstream-service-time" in dict(one.headers)) == (
        "1",
        True,
    )
    mesh.replace(mesh_config=NAMED)
    assert mesh.request(CLIENT, URL).headers["server"] == "shop-proxy"
    mesh.replace(mesh_config=SILENT)
    one = mesh.request(CLIENT, URL)
    told = dict(one.headers)
    assert (told.get("server"), "x-envoy-upstream-service-time" in told) == (None, False)
    assert sent(one, "x-envoy-attempt-count") is None


def test_what_the_caller_asked_for(mesh: Mesh) -> None:
    mesh.replace(OTHER_HOST)
    one = mesh.request(CLIENT, URL)
    assert one.backend is not None
    assert one.backend.request.host == "books.example.com"
    assert (sent(one, "x-forwarded-host"), sent(one, "x-forwarded-port")) == (None, None)
    mesh.replace(OTHER_HOST, mesh_config=FORWARDED)
    one = mesh.request(CLIENT, URL)
    assert (sent(one, "x-forwarded-host"), sent(one, "x-forwarded-port")) == ("catalog-v1", "80")


def test_the_case_of_headers(mesh: Mesh) -> None:
    def told() -> list[str]:
        one = mesh.request(CLIENT, URL, headers={"X-Echo-Set-Header": "X-Echoed:1"})
        return [name for name, _ in one.headers if name.lower() == "x-echoed"]

    assert told() == ["x-echoed"]
    mesh.replace(mesh_config=AS_WRITTEN)
    assert told() == ["X-Echoed"]
