from __future__ import annotations

import pytest

from meshtest.errors import ScenarioError
from meshtest.live.requests import token_of
from meshtest.live.tokens import carrying
from meshtest.scenario.tokens import FromHeader, TokenSpec
from meshtest.traffic.model import Request
from meshtest.traffic.tokens import SignedBy

REQUEST = Request(url="http://b/x?a=b", headers=(("end-user", "jason"),))


@pytest.mark.parametrize(
    ("spec", "header"),
    [
        (TokenSpec(), ("authorization", "Bearer T")),
        (TokenSpec(header=FromHeader(name="x-token", prefix="Value ")), ("x-token", "Value T")),
        (TokenSpec(cookie="session"), ("cookie", "session=T")),
    ],
    ids=["bearer", "header", "cookie"],
)
def test_a_token_in_a_header(spec: TokenSpec, header: tuple[str, str]) -> None:
    assert carrying(REQUEST, "T", spec).headers == (("end-user", "jason"), header)


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("http://b/x?a=b", "http://b/x?a=b&token=T"),
        ("http://b/x", "http://b/x?token=T"),
        ("http://b", "http://b/?token=T"),
        ("http://b/%2e%2E//x", "http://b/%2e%2E//x?token=T"),
    ],
)
def test_a_token_in_the_query(url: str, sent: str) -> None:
    assert carrying(Request(url=url), "T", TokenSpec(param="token")).url == sent


def test_what_python_says_of_a_token() -> None:
    token = token_of({"subject": "jason", "audience": ["a"], "key": "forged"})
    assert (token.subject, token.audience, token.key) == ("jason", ("a",), SignedBy.FORGED)
    assert token_of({"audience": "one"}).audience == "one"


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"isuer": "x"}, "did you mean 'issuer'"), ({"key": "unknow"}, "did you mean 'unknown'")],
)
def test_a_wrong_word_is_told(fields: dict[str, str], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        token_of(fields)
