"""`successRate:`: how many requests the caller gets what it wanted from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.checks.judging import finding, share_of
from meshtest.checks.status import ending
from meshtest.scenario.expect_answer import SUCCESS
from meshtest.traffic.model import Outcome

if TYPE_CHECKING:
    from meshtest.checks.evidence import Evidence
    from meshtest.checks.judging import Judgement
    from meshtest.scenario.expect_answer import StatusSet, SuccessRate
    from meshtest.traffic.model import Exchange


def succeeded(exchange: Exchange, statuses: StatusSet = SUCCESS) -> bool:
    """Whether an exchange is a success; gRPC must also be OK, and TCP has nothing but its outcome."""
    if exchange.outcome is not Outcome.RESPONSE:
        return False
    if exchange.grpc_status not in (None, 0):
        return False
    return exchange.status is None or statuses.holds(exchange.status)


def success_rate(spec: SuccessRate, evidence: Evidence) -> Judgement:
    """The share of successes is within limits."""
    found = [
        (each, finding(ending(each), holds=succeeded(each, spec.statuses))) for each in evidence.exchanges
    ]
    return share_of("successes", spec.share, found)
