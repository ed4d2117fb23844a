"""What is checked of every history: no request from a wrong identity ever gets through.

    caller ══ shows who it is ══► callee          the callee must not let a caller in that claims to be somebody else,
           ◄══ shows who it is ══                 nor the caller take an answer from a callee that does

Who a pod truly is, its service account says; a fault that hands out another certificate (`certificate`) does not change
that. Whether somebody may do something is no matter of this check but of the scenario's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.checks.evidence import origin
from meshtest.checks.judging import MOST_EVIDENCE
from meshtest.checks.verdict import CheckResult, Verdict
from meshtest.scenario.expect import ALWAYS_IDENTITIES as NAME

if TYPE_CHECKING:
    from meshtest.checks.evidence import Facts
    from meshtest.mesh.model import Pod
    from meshtest.traffic.model import Exchange, Hop
    from meshtest.traffic.record import History

REFUSED = 400
Shown = tuple[str, str, str]
"""The identity that was shown, the true one, and what to say if they differ."""
NOTHING: Shown = ("", "", "")


def identities(history: History, facts: Facts) -> CheckResult | None:
    """Whether each connection that got through came from who its certificate says; None: nothing to judge."""
    judged = 0
    wrong: list[tuple[Exchange, str]] = []
    for exchange in history.exchanges:
        for hop in exchange.hops:
            for shown, true, words in (_caller(exchange, hop, facts), _callee(hop, facts)):
                judged += bool(true)
                if true and shown != true and _got_through(hop):
                    wrong.append((exchange, words))
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
    reason = f"{judged} connections in the logs, each with the identity of the pod at its other end"
    return CheckResult(
        verdict=Verdict.PASS, name=NAME, reason=reason, observed={"judged": judged, "wrong": 0}
    )


def _caller(exchange: Exchange, hop: Hop, facts: Facts) -> Shown:
    """Who called; nothing where nothing shows it, or where the scenario chose a certificate itself."""
    if hop.side == "outbound" or not hop.peer:
        return NOTHING
    pod = _end(exchange, hop, facts)
    if pod is None:
        return NOTHING
    if exchange.request.tls is not None and exchange.request.tls.certificate and pod.key == exchange.caller:
        return NOTHING
    return hop.peer, pod.identity, f"{hop.pod} let {hop.peer} through, which is {pod.identity}"


def _end(exchange: Exchange, hop: Hop, facts: Facts) -> Pod | None:
    """The pod that the TLS of an inbound connection began at: gateways on the way may have passed it on as it was."""
    pod = origin(hop, facts)
    passed = [
        one for one in exchange.hops if one.side == "gateway" and one.layer == "tcp" and not one.upstream_peer
    ]
    for one in reversed(passed):
        if pod is not None and pod.key == one.pod:
            pod = origin(one, facts)
    return pod


def _callee(hop: Hop, facts: Facts) -> Shown:
    """Who was called; what shows no SPIFFE identity is no workload of the mesh."""
    pod = facts.pod_at(hop.upstream) if hop.upstream else None
    if pod is None or hop.side == "inbound" or not hop.upstream_peer.startswith("spiffe://"):
        return NOTHING
    words = f"{hop.pod} took an answer from {hop.upstream_peer}, which is {pod.identity}"
    return hop.upstream_peer, pod.identity, words


def _got_through(hop: Hop) -> bool:
    if hop.layer == "tcp":
        return bool(hop.upstream)
    return hop.status is not None and 0 < hop.status < REFUSED
