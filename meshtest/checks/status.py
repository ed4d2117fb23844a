"""`status:`, `grpcStatus:`, `outcome:`: how requests end for the caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.checks.judging import every, finding, missing, share_of
from meshtest.scenario.scalars import GRPC_CODES
from meshtest.traffic.model import Outcome

if TYPE_CHECKING:
    from meshtest.checks.evidence import Evidence
    from meshtest.checks.judging import Finding, Found, Judgement
    from meshtest.scenario.bounds import ShareBounds
    from meshtest.scenario.expect_answer import GrpcStatus, OutcomeIs, Status
    from meshtest.traffic.model import Exchange


def ending(exchange: Exchange) -> str:
    """How an exchange ended, in a word: a status, or what came instead of a response."""
    if exchange.outcome is not Outcome.RESPONSE:
        return str(exchange.outcome.value)
    if exchange.grpc_status is not None:
        return grpc_name(exchange.grpc_status)
    return "response" if exchange.status is None else str(exchange.status)


def grpc_name(status: int) -> str:
    """`UNAVAILABLE` for 14."""
    return GRPC_CODES[status] if 0 <= status < len(GRPC_CODES) else f"gRPC status {status}"


def _judge(expected: str, share: ShareBounds | None, found: list[Found]) -> Judgement:
    return every(expected, found) if share is None else share_of(expected, share, found)


def status(spec: Status, evidence: Evidence) -> Judgement:
    """Every status is one of those, or a share of them."""

    def of(exchange: Exchange) -> Finding:
        return finding(
            str(exchange.status) if exchange.status is not None else ending(exchange),
            holds=spec.statuses.holds(exchange.status),
        )

    found = [(each, of(each)) for each in evidence.exchanges]
    return _judge(f"status {spec.statuses.text()}" if spec.share else spec.statuses.text(), spec.share, found)


def grpc_status(spec: GrpcStatus, evidence: Evidence) -> Judgement:
    """Every gRPC status is one of those, or a share of them."""

    def of(exchange: Exchange) -> Finding:
        if exchange.outcome is Outcome.RESPONSE and exchange.grpc_status is None:
            return missing("no gRPC status")
        return finding(ending(exchange), holds=exchange.grpc_status in spec.statuses)

    return _judge(spec.text(), spec.share, [(each, of(each)) for each in evidence.exchanges])


def outcome(spec: OutcomeIs, evidence: Evidence) -> Judgement:
    """Every outcome is one of those, or a share of them."""
    found = [
        (each, finding(_outcome(each), holds=each.outcome.value in spec.outcomes))
        for each in evidence.exchanges
    ]
    return _judge(" or ".join(spec.outcomes), spec.share, found)


def _outcome(exchange: Exchange) -> str:
    status = f" {exchange.status}" if exchange.status is not None else ""
    return f"{exchange.outcome.value}{status}"
