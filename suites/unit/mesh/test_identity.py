from __future__ import annotations

import pytest

from meshtest.errors import ScenarioError
from meshtest.mesh.identity import Identity, parse_identity

RATINGS = Identity(trust_domain="cluster.local", namespace="shop", service_account="ratings")


@pytest.mark.parametrize("text", ["spiffe://cluster.local/ns/shop/sa/ratings", RATINGS.principal])
def test_reads_identities_and_principals(text: str) -> None:
    assert parse_identity(text) == RATINGS


def test_writes_what_it_reads() -> None:
    assert parse_identity(str(RATINGS)) == RATINGS
    assert RATINGS.principal == "cluster.local/ns/shop/sa/ratings"


@pytest.mark.parametrize(
    "text", ["", "ratings", "spiffe://cluster.local/shop/ratings", "spiffe://a/ns/b/sa/c/d"]
)
def test_anything_else_is_an_error(text: str) -> None:
    with pytest.raises(ScenarioError, match="no identity"):
        parse_identity(text)
