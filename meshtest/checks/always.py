"""What is checked of every history: no request from a wrong identity ever gets through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.checks.evidence import origin
from meshtest.checks.judging import MOST_EVIDENCE
from meshtest.checks.verdict import CheckResult, Verdict

if TYPE_CHECKING:
    from meshtest.checks.evidence import Facts
    from meshtest.traffic.model import Exchange, History, Hop

NAME = "always: identities"
REFUSED = 400


def identities(history: History, facts: Facts) -> CheckResult | None:
    """Whether each connection that got through came from who its certificate says; None: nothing to judge."""
    judged = 0
    wrong: list[tuple[Exchange, str]] = []
    for exchange in history.exchanges:
        for hop in exchange.hops:
            expected = _true_identity(exchange, hop, facts)
            if expected is None:
                continue
            judged += 1
            if hop.peer != expected and _got_through(hop):
                wrong.append((exchange, f"{hop.pod} let {hop.peer} through, which is {expected}"))
    if wrong:
        return CheckResult(
            verdict=Verdict.FAIL,
            name=NAME,
            reason=f"{wrong[0][1]}; {len(wrong)} of {judged} connections came from a wrong identity",
            observed={"judged": judged, "wrong": len(wrong)},
            evidence=tuple(dict.fromkeys(exchange.id for exchange, _ in wrong))[:MOST_EVIDENCE],
        )
    if not judged:
        return None
    reason = f"{judged} log lines, each from the identity of the pod that called"
    return CheckResult(
        verdict=Verdict.PASS, name=NAME, reason=reason, observed={"judged": judged, "wrong": 0}
    )


def _true_identity(exchange: Exchange, hop: Hop, facts: Facts) -> str | None:
    """The identity of the pod that called; None where nothing shows it, or the scenario chose another."""
    if hop.side == "outbound" or not hop.peer:
        return None
    pod = origin(hop, facts)
    if pod is None:
        return None
    chosen = exchange.request.tls is not None and bool(exchange.request.tls.certificate)
    return None if chosen and pod.key == exchange.caller else pod.identity


def _got_through(hop: Hop) -> bool:
    if hop.layer == "tcp":
        return bool(hop.upstream)
    return hop.status is not None and 0 < hop.status < REFUSED
