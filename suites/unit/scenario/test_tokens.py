from __future__ import annotations

from typing import Any

import pytest

from meshtest.scenario.tokens import FromHeader, TokenSpec


def jwt(files: Any, text: str) -> Any:
    request = f"{{url: 'http://ratings:9080/', jwt: {text}}}"
    return files.one(traffic=f"traffic: {{from: reviews-v2, request: {request}}}").traffic[0].request.jwt


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("{}", TokenSpec()),
        ("https://me", TokenSpec(fields={"issuer": "https://me"})),
        (
            "{subject: jason, audience: [a, b], claims: {groups: [x]}, expired: true}",
            TokenSpec(
                fields={
                    "subject": "jason",
                    "audience": ("a", "b"),
                    "claims": {"groups": ["x"]},
                    "expired": True,
                }
            ),
        ),
        ("{key: unknown, fromParam: token}", TokenSpec(fields={"key": "unknown"}, param="token")),
        ("{fromCookie: session}", TokenSpec(cookie="session")),
        ("{fromHeader: x-token}", TokenSpec(header=FromHeader(name="x-token"))),
        (
            "{fromHeader: {name: x, prefix: 'Value '}}",
            TokenSpec(header=FromHeader(name="x", prefix="Value ")),
        ),
    ],
)
def test_what_a_token_is_asked_to_be(files: Any, text: str, spec: TokenSpec) -> None:
    assert jwt(files, text) == spec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{key: wrong}", "unknown key 'wrong'"),
        ("{expires: 1}", "unknown key 'expires'"),
        ("{fromParam: a, fromCookie: b}", "one of fromHeader, fromParam and fromCookie"),
        ("{expired: true, notYetValid: true}", "expired and notYetValid both stand here"),
    ],
)
def test_mistakes(files: Any, text: str, message: str) -> None:
    request = f"{{url: 'http://ratings:9080/', jwt: {text}}}"
    assert message in files.error(traffic=f"traffic: {{from: reviews-v2, request: {request}}}")
