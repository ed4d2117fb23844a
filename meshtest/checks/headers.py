"""`headers:`, `body:`: of the response. `requestHeaders:`, `received:`: what the application received."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.checks.judging import every, finding, missing
from meshtest.checks.status import ending
from meshtest.traffic.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshtest.checks.evidence import Evidence
    from meshtest.checks.judging import Finding, Judgement
    from meshtest.scenario.bounds import TextMatch
    from meshtest.scenario.expect_answer import Body, Headers
    from meshtest.scenario.expect_callee import Received, RequestHeaders
    from meshtest.traffic.model import BackendRequest, Exchange

LONGEST = 60
_PARTS = ("method", "path", "host", "protocol", "body")
_OPTIONAL_PARTS = ("sni", "alpn", "client_certificate", "proxy_protocol")
"""What not every request has: an empty one is absent."""


def headers(spec: Headers, evidence: Evidence) -> Judgement:
    """Every response carries these headers."""

    def of(exchange: Exchange) -> Finding:
        if exchange.outcome is not Outcome.RESPONSE:
            return finding(exchange.outcome.value, holds=False)
        there = {name: _values(exchange.headers, name) for name in spec.headers}
        return compare(spec.headers, there)

    return every(wanted(spec.headers), [(each, of(each)) for each in evidence.exchanges])


def body(spec: Body, evidence: Evidence) -> Judgement:
    """Every response has this body."""

    def of(exchange: Exchange) -> Finding:
        if exchange.outcome is not Outcome.RESPONSE:
            return finding(exchange.outcome.value, holds=False)
        text = exchange.body.decode(errors="replace")
        return finding(f"{ending(exchange)} {_short(text)}", holds=spec.body.holds([text]))

    return every(f"body {spec.body.text()}", [(each, of(each)) for each in evidence.exchanges])


def request_headers(spec: RequestHeaders, evidence: Evidence) -> Judgement:
    """Every application that answered received these headers."""

    def of(exchange: Exchange) -> Finding:
        if exchange.backend is None:
            return not_received(exchange)
        got = exchange.backend.request.headers
        return compare(spec.headers, {name: list(got.get(name, ())) for name in spec.headers})

    return every(wanted(spec.headers), [(each, of(each)) for each in evidence.exchanges])


def received(spec: Received, evidence: Evidence) -> Judgement:
    """Every application that answered received such a request."""
    matches = {name: match for name in _PARTS if (match := getattr(spec, name)) is not None}

    def of(exchange: Exchange) -> Finding:
        if exchange.backend is None:
            return not_received(exchange)
        return compare(matches, {name: _part(exchange.backend.request, name) for name in matches})

    return every(wanted(matches), [(each, of(each)) for each in evidence.exchanges])


def not_received(exchange: Exchange) -> Finding:
    """Nobody says what it received: a failure of the mesh if an error came back, else no evidence."""
    if exchange.outcome is Outcome.RESPONSE and (exchange.status is None or exchange.status < 400):
        return missing("the application does not say what it received")
    return finding(f"no application reached ({ending(exchange)})", holds=False)


def wanted(matches: Mapping[str, TextMatch]) -> str:
    """`x-a: 'b', x-c: absent`."""
    return ", ".join(f"{name}: {match.text()}" for name, match in matches.items())


def compare(matches: Mapping[str, TextMatch], there: Mapping[str, Sequence[str]]) -> Finding:
    """Which of the named texts are not as wanted."""
    wrong = {name: there[name] for name, match in matches.items() if not match.holds(there[name])}
    shown = wrong or there
    says = ", ".join(f"{name}: {_shown(values)}" for name, values in shown.items())
    return finding(says, holds=not wrong)


def _values(pairs: Sequence[tuple[str, str]], name: str) -> list[str]:
    return [value for key, value in pairs if key.lower() == name]


def _part(request: BackendRequest, name: str) -> list[str]:
    value = getattr(request, name)
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return [text] if text or name in _PARTS else []


def _shown(values: Sequence[str]) -> str:
    return " and ".join(_short(value) for value in values) if values else "absent"


def _short(text: str) -> str:
    return repr(text if len(text) <= LONGEST else f"{text[:LONGEST]}...")
