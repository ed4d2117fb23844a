"""Reads the tables of the Gateway API's conformance tests, which are Go, and compares with them what came."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from meshtest import Exchange

TOKENS = re.compile(
    r"""(?P<space>\s+|//[^\n]*)|(?P<text>"(?:\\.|[^"\\])*"|`[^`]*`|'(?:\\.|[^'\\])*')|(?P<number>\d+)
    |(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)|(?P<sign>:=|.)""",
    re.VERBOSE | re.DOTALL,
)
INFRA = "gateway-conformance-infra"
WORDS: Mapping[str, Any] = {
    "true": True,
    "false": False,
    "nil": None,
    "host": "echo",
    "suite.InfrastructureNamespace": INFRA,
    "suite.MeshNamespace": "gateway-conformance-mesh",
    "suite.WebBackendNamespace": "gateway-conformance-web-backend",
    "suite.AppBackendNamespace": "gateway-conformance-app-backend",
    **{f"suite.InfraBackendServiceNameV{each}": f"infra-backend-v{each}" for each in (1, 2, 3)},
    "nethttp.StatusOK": 200,
    "roundtripper.H2CPriorKnowledgeProtocol": "H2C_PRIOR_KNOWLEDGE",
}
SPEAK = {"": "http", "H2C_PRIOR_KNOWLEDGE": "h2c"}


@dataclass(frozen=True)
class Literal:
    """One composite literal, `name := kind{...}`, at a place among the tokens."""

    at: int
    kind: str
    name: str
    value: Any


class Source:
    """The tokens of Go source, from which composite literals are read."""

    def __init__(self, text: str, words: Mapping[str, Any]) -> None:
        self.words = {**WORDS, **words}
        found = ((match.lastgroup or "", match.group()) for match in TOKENS.finditer(text))
        self.tokens = [token for token in found if token[0] != "space"]
        self.at = 0

    def literals(self, *kinds: str) -> Iterator[Literal]:
        """All of these kinds that are in no other one."""
        while self.at < len(self.tokens):
            begin, kind = self.at, self._kind()
            if kind in kinds and self._next() == "{":
                assigned = begin > 1 and self.tokens[begin - 1][1] == ":="
                yield Literal(begin, kind, self.tokens[begin - 2][1] if assigned else "", self._composite())
            else:
                self.at = begin + 1

    def _next(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def _take(self) -> tuple[str, str]:
        self.at += 1
        return self.tokens[self.at - 1]

    def _kind(self) -> str:
        """The type that begins here: `[]http.ExpectedResponse`, `map[string]string`."""
        text = ""
        while self._next() in ("[", "]", "*", "&", "map"):
            text += self._take()[1]
            if text == "map[":
                text += self._take()[1]
        return text + (self._take()[1] if self.at < len(self.tokens) else "")

    def _composite(self) -> Any:
        """`{...}`: a mapping where it has keys, else a list."""
        self._take()
        keyed: dict[Any, Any] = {}
        plain: list[Any] = []
        while self._next() != "}":
            value = self._value()
            if self._next() == ":":
                self._take()
                keyed[value] = self._value()
            else:
                plain.append(value)
            if self._next() == ",":
                self._take()
        self._take()
        return keyed if keyed or not plain else plain

    def _value(self) -> Any:
        value = self._term()
        while self._next() == "+":
            self._take()
            value = f"{value}{self._term()}"
        return value

    def _term(self) -> Any:
        kind, text = self.tokens[self.at]
        if text == "{":
            return self._composite()
        if kind in ("text", "number"):
            self._take()
            return json.loads(text) if text[0] not in "`'" else text[1:-1]
        name = self._kind()
        if self._next() == "{":
            return self._composite()
        if self._next() == "(":
            return self._call(name)
        return self.words.get(name.replace("confsuite.", "suite."), name)

    def _call(self, name: str) -> Any:
        """Calls are not carried out; their text stands for them where no word does."""
        depth, text = 0, name
        while not text.endswith(")") or depth:
            token = self._take()[1]
            depth += (token == "(") - (token == ")")
            text += token
        return self.words.get(text, text)


@pytest.fixture(scope="session")
def literals() -> Callable[..., list[Literal]]:
    """The composite literals of these kinds in what a Go test does, and what its variables and calls stand for."""
    return lambda text, *kinds, **words: list(
        Source(text[text.index("Test: func") :], words).literals(*kinds)
    )


@pytest.fixture(scope="session")
def asked() -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """The arguments of `mesh.request` for what a case sends."""
    return _asked


@pytest.fixture(scope="session")
def differences() -> Callable[[Mapping[str, Any], Exchange], list[str]]:
    """What was not as a case expects it."""
    return lambda case, one: list(_differences(case, one))


def _asked(case: Mapping[str, Any]) -> dict[str, Any]:
    sent = case["Request"]
    headers = dict(sent.get("Headers") or {})
    echoed = case.get("BackendSetResponseHeaders") or {}
    if echoed:
        headers["X-Echo-Set-Header"] = ",".join(f"{name}:{value}" for name, value in echoed.items())
    host = {"host": headers.pop("Host")} if "Host" in headers else {}
    protocol = sent.get("Protocol") or ""
    scheme = SPEAK.get(protocol, protocol.lower())
    url = f"{scheme}://{sent.get('Host') or 'echo'}{sent.get('Path') or '/'}"
    return {
        "url": url,
        "method": sent.get("Method") or "GET",
        "headers": headers,
        "body": sent.get("Body") or "",
        **host,
    }


def _differences(case: Mapping[str, Any], one: Exchange) -> Iterator[str]:
    answer = case.get("Response") or {}
    codes = [
        *(answer.get("StatusCodes") or []),
        *([answer["StatusCode"]] if answer.get("StatusCode") else []),
    ]
    if one.request.protocol.value == "grpc":
        if one.grpc_status != 0:
            yield f"gRPC status {one.grpc_status}, {one.outcome} {one.error}"
        return
    if one.status not in (codes or [200]):
        yield f"status {one.status}, {one.outcome} {one.error}, expected {codes or 200}"
        return
    if one.status in (200, 204):
        yield from _arrived(case, one)
        yield from _answered(answer, one)
    elif case.get("RedirectRequest") is not None:
        yield from _redirected(case["RedirectRequest"], one)


def _arrived(case: Mapping[str, Any], one: Exchange) -> Iterator[str]:
    expected = dict(case.get("ExpectedRequest") or {})
    expected |= expected.get("Request") or (case["Request"] if "ExpectedRequest" not in case else {})
    if one.backend is None:
        if case.get("Backend"):
            yield f"nobody answered in JSON, expected {case['Backend']}"
        return
    got, headers = one.backend, one.backend.request.headers
    pairs = [("Host", got.request.host), ("Path", got.request.path), ("Method", got.request.method)]
    yield from (
        f"{key}: {seen}, expected {expected[key]}"
        for key, seen in pairs
        if expected.get(key) not in ("", None, seen)
    )
    for name, value in (expected.get("Headers") or {}).items():
        if name != "Host" and ",".join(headers.get(name.lower(), ())) != value:
            yield f"{name}: {headers.get(name.lower())}, expected {value}"
    yield from (f"{name} arrived" for name in expected.get("AbsentHeaders") or [] if name.lower() in headers)
    if case.get("Namespace") not in ("", None, got.namespace):
        yield f"namespace {got.namespace}, expected {case['Namespace']}"
    if not got.pod.startswith(case.get("Backend") or ""):
        yield f"{got.pod} answered, expected {case['Backend']}"


def _answered(answer: Mapping[str, Any], one: Exchange) -> Iterator[str]:
    """Of headers whose white space does not matter, and of those with several good values, too."""
    kept: Callable[[str], str] = (
        (lambda text: text.replace(" ", "")) if answer.get("IgnoreWhitespace") else str
    )
    good = {name: [value] for name, value in (answer.get("Headers") or {}).items()}
    for name, values in {**good, **(answer.get("ValidHeaderValues") or {})}.items():
        seen = ",".join(one.headers.all(name))
        if kept(seen) not in map(kept, values):
            yield f"{name}: {seen!r} came back, expected {values}"
    yield from (f"{name} came back" for name in answer.get("AbsentHeaders") or [] if name in one.headers)


def _redirected(expected: Mapping[str, Any], one: Exchange) -> Iterator[str]:
    location = one.headers.get("location") or ""
    to, asked = urlsplit(location), urlsplit(one.request.url)
    pairs = [
        (to.scheme, expected.get("Scheme") or asked.scheme),
        (to.hostname, expected.get("Host") or to.hostname),
        (to.path, expected.get("Path") or asked.path),
        (str(to.port or {"http": 80, "https": 443}[to.scheme]), expected.get("Port") or str(to.port or "")),
    ]
    if any(seen != wanted for seen, wanted in pairs if wanted):
        yield f"redirected to {location}, expected {expected}"
