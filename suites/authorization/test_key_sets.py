"""Key sets that istiod itself fetches: from a host outside over TLS, by an issuer's name, or in vain."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from meshtest import Mesh

if TYPE_CHECKING:
    from collections.abc import Iterator

HOSTS = {
    "login.example": {"ports": ["443/HTTPS"], "plays": "jwks"},
    "private.example": {"ports": ["443/HTTPS"], "plays": "jwks", "tls": {"certificate": "private"}},
    "plain.example": {"ports": ["80/HTTP", "443/HTTPS"]},
}
POLICY = """
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: shop}
spec:
  jwtRules:
  - {issuer: "%s"%s}
"""
CALLER, URL = "shop/orders", "http://catalog/"


@pytest.fixture(scope="module")
def mesh(meshtest_runtime: str) -> Iterator[Mesh]:
    with Mesh.from_manifests(
        "fixtures/shop", "fixtures/jwks", external=HOSTS, runtime=meshtest_runtime
    ) as running:
        yield running


def answers(mesh: Mesh, issuer: str) -> list[int | None]:
    """To no token, to a good one, and to one whose key nobody knows."""
    tokens = [mesh.token(issuer=issuer, key=key) for key in ("known", "unknown")]
    sent = [{}, *({"authorization": f"Bearer {token}"} for token in tokens)]
    return [mesh.request(CALLER, URL, headers=headers).status for headers in sent]


@pytest.mark.parametrize(
    ("issuer", "uri"),
    [
        pytest.param("me", "https://login.example/keys", id="over-tls"),
        pytest.param("https://login.example", "", id="openid-discovery"),
        pytest.param("http://jwks.tokens:8000", "", id="openid-discovery-in-the-mesh"),
        pytest.param("me", "http://jwks.tokens.svc.cluster.local:8000/keys", id="by-the-sidecar"),
        pytest.param("me", "http://jwks.tokens.svc:8000/keys", id="by-a-short-name"),
    ],
)
def test_keys_are_live_when_the_policy_is(mesh: Mesh, issuer: str, uri: str) -> None:
    pushed = mesh.replace(POLICY % (issuer, f', jwksUri: "{uri}"' if uri else ""))
    assert [each for each in pushed.notices if each.code == "keys"] == []
    assert answers(mesh, issuer) == [200, 200, 401]


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("https://private.example/keys", "cannot be fetched: .*certificate"),
        ("https://nowhere.example/keys", "cannot be fetched: "),
        ("https://plain.example/keys", "answers with no key set"),
        ("https://plain.example/status/503", "answers with status 503"),
    ],
)
def test_a_server_without_keys_is_told_of_and_no_token_is_good(mesh: Mesh, uri: str, why: str) -> None:
    pushed = mesh.replace(POLICY % ("me", f', jwksUri: "{uri}"'))
    (told,) = [each for each in pushed.notices if each.code == "keys"]
    assert told.location is not None
    assert told.location.line == 7
    assert re.search(why, told.message), told.message
    assert "every token will be refused" in told.message
    assert answers(mesh, "me") == [200, 401, 401]


def test_an_authority_that_istiods_chart_gives_it(mesh: Mesh) -> None:
    extra = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "pilot-jwks-extra-cacerts", "namespace": "istio-system"},
        "data": {"extra.pem": mesh.external("private.example").ca},
    }
    mesh.replace(POLICY % ("me", ', jwksUri: "https://private.example/keys"'), json.dumps(extra))
    assert answers(mesh, "me") == [200, 200, 401]


def test_keys_stay_through_other_changes_and_go_with_their_policy(mesh: Mesh) -> None:
    mesh.replace(POLICY % ("me", ', jwksUri: "https://login.example/keys"'))
    mesh.apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: later}\n")
    assert answers(mesh, "me") == [200, 200, 401]
    mesh.replace()
    assert answers(mesh, "me") == [200, 200, 200]
