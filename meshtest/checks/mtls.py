"""`mtls:`: whether requests came over mutual TLS, and from which identity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.checks.answered import who
from meshtest.checks.evidence import inbound_hops, origin
from meshtest.checks.judging import every, finding, missing

if TYPE_CHECKING:
    from meshtest.checks.evidence import Evidence, Facts
    from meshtest.checks.judging import Finding, Judgement
    from meshtest.scenario.expect_policy import Mtls
    from meshtest.traffic.model import Exchange, Hop


def mtls(spec: Mtls, evidence: Evidence) -> Judgement:
    """Every request came as expected to the workload that answered, or to `to`."""
    return every(
        _expected(spec), [(each, _finding(spec, each, evidence.facts)) for each in evidence.exchanges]
    )


def _expected(spec: Mtls) -> str:
    if spec.peer:
        return f"mTLS from {spec.peer}"
    return "mTLS" if spec.on else "plaintext"


def _finding(spec: Mtls, exchange: Exchange, facts: Facts) -> Finding:
    hops = _arrivals(spec, exchange, facts)
    if not hops:
        return _without_hops(spec, exchange, facts)
    seen = [_seen(hop) for hop in hops]
    wrong = [says for hop, says in zip(hops, seen, strict=True) if not _holds(spec, hop)]
    return finding((wrong or seen)[0], holds=not wrong)


def _arrivals(spec: Mtls, exchange: Exchange, facts: Facts) -> list[Hop]:
    """The inbound log lines at the workload that counts; if nobody answered, where the caller arrived."""
    pod = spec.to or who(exchange, facts)
    if pod:
        return inbound_hops(exchange, facts, pod)
    inbound = inbound_hops(exchange, facts)
    direct = [hop for hop in inbound if (found := origin(hop, facts)) and found.key == exchange.caller]
    return direct or inbound


def _holds(spec: Mtls, hop: Hop) -> bool:
    if not spec.on:
        return not hop.tls
    return bool(hop.tls and hop.peer) and (not spec.peer or hop.peer == spec.peer)


def _seen(hop: Hop) -> str:
    if not hop.tls:
        return "plaintext"
    return f"mTLS from {hop.peer}" if hop.peer else f"{hop.tls} without a peer identity"


def _without_hops(spec: Mtls, exchange: Exchange, facts: Facts) -> Finding:
    """Without a sidecar at the callee there is no mTLS, and nothing that logs it."""
    answered = facts.pods.get(who(exchange, facts) or "")
    if answered is not None and not answered.has_envoy and exchange.complete:
        return finding("plaintext to a workload without sidecar", holds=not spec.on)
    return missing("no log line of the callee's sidecar")
