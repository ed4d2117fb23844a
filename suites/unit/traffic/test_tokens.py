from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from meshtest.traffic.keys import KeySet
from meshtest.traffic.tokens import SignedBy, Token, claims_of

NOW = 1_000_000.0


def plain(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def verify(token: str, jwks: str) -> dict[str, Any]:
    """The head of a token whose signature the key set's only key verifies; ES256 by RFC 7518."""
    (key,) = json.loads(jwks)["keys"]
    x, y = (int.from_bytes(plain(key[name]), "big") for name in ("x", "y"))
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    head, payload, signature = token.split(".")
    r, s = (int.from_bytes(half, "big") for half in (plain(signature)[:32], plain(signature)[32:]))
    public.verify(encode_dss_signature(r, s), f"{head}.{payload}".encode(), ec.ECDSA(hashes.SHA256()))
    found: dict[str, Any] = json.loads(plain(head))
    assert found["alg"] == key["alg"]
    return {**found, "known": found["kid"] == key["kid"]}


def test_the_key_set_verifies_its_tokens() -> None:
    keys = KeySet()
    assert verify(keys.sign(Token(subject="jason")), keys.jwks)["known"]


def test_two_key_sets_do_not_know_each_other() -> None:
    with pytest.raises(InvalidSignature):
        verify(KeySet().sign(Token()), KeySet().jwks)


def test_a_forged_token_names_the_key_that_did_not_sign_it() -> None:
    keys = KeySet()
    forged = keys.sign(Token(key=SignedBy.FORGED))
    with pytest.raises(InvalidSignature):
        verify(forged, keys.jwks)
    assert json.loads(plain(forged.split(".")[0]))["kid"] == json.loads(keys.jwks)["keys"][0]["kid"]


def test_an_unknown_key_has_another_id() -> None:
    keys = KeySet()
    head = json.loads(plain(keys.sign(Token(key=SignedBy.UNKNOWN)).split(".")[0]))
    assert head["kid"] != json.loads(keys.jwks)["keys"][0]["kid"]


def test_nobodys_token_has_no_signature() -> None:
    token = KeySet().sign(Token(key=SignedBy.NOBODY))
    assert token.endswith(".")
    assert json.loads(plain(token.split(".")[0]))["alg"] == "none"


@pytest.mark.parametrize(
    ("token", "valid"),
    [
        (Token(), True),
        (Token(lifetime=1.0), True),
        (Token(expired=True), False),
        (Token(not_yet_valid=True), False),
        (Token(not_yet_valid=True, lifetime=7200.0), False),
    ],
    ids=["usual", "short", "expired", "early", "early-and-long"],
)
def test_when_a_token_is_valid(token: Token, valid: bool) -> None:  # noqa: FBT001 - a case
    payload = token.payload(NOW)
    assert payload["iat"] <= payload["exp"]
    assert (payload["nbf"] <= NOW < payload["exp"]) is valid


def test_what_a_token_says() -> None:
    token = Token(issuer="me", subject="jason", audience=("a", "b"), claims={"groups": ["x"], "sub": "mary"})
    told = claims_of(KeySet().sign(token))
    assert (told["iss"], told["sub"], told["aud"], told["groups"]) == ("me", "mary", ["a", "b"], ["x"])
    assert "aud" not in claims_of(KeySet().sign(Token()))
    assert claims_of(KeySet().sign(Token(audience="one")))["aud"] == "one"


@pytest.mark.parametrize("text", ["", "a.b", "a.!!!.c", "a.W10.c", "no token"])
def test_what_is_no_token_says_nothing(text: str) -> None:
    assert claims_of(text) == {}
