"""`call:`: what the workloads got that the stand-ins called in turn.

A stand-in reports a call as {url, outcome, status, body}; `body` is the callee's own report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from meshtest.checks.headers import not_received
from meshtest.checks.judging import every, finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from meshtest.checks.evidence import Evidence
    from meshtest.checks.judging import Finding, Judgement
    from meshtest.scenario.expect_callee import Call
    from meshtest.traffic.model import Exchange

Report = "Mapping[str, Any]"


def call(spec: Call, evidence: Evidence) -> Judgement:
    """Every exchange's calls to a workload end as expected."""

    def of(exchange: Exchange) -> Finding:
        if exchange.backend is None:
            return not_received(exchange)
        made = [each for each in _all(exchange.backend.calls) if _is_to(each, spec.to)]
        return _judge(spec, made)

    return every(_expected(spec), [(each, of(each)) for each in evidence.exchanges])


def _judge(spec: Call, made: Sequence[Mapping[str, Any]]) -> Finding:
    if spec.times is not None and not spec.times.hold(len(made)):
        return finding(f"{len(made)} calls", holds=False)
    if not made:
        return finding("no call", holds=spec.times is not None)
    wrong = [each for each in made if not _holds(spec, each)]
    return finding(" and ".join(_says(each) for each in wrong or made), holds=not wrong)


def _holds(spec: Call, made: Mapping[str, Any]) -> bool:
    reply = _reply(made)
    names = (reply.get("workload"), f"{reply.get('namespace')}/{reply.get('workload')}", reply.get("pod"))
    return (
        (spec.status is None or spec.status.holds(_status(made)))
        and (not spec.outcome or _outcome(made) in spec.outcome)
        and (not spec.answered_by or any(name in spec.answered_by for name in names))
    )


def _all(calls: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
    for made in calls:
        if isinstance(made, dict):
            yield made
            yield from _all(_reply(made).get("calls") or ())


def _is_to(made: Mapping[str, Any], place: str) -> bool:
    namespace, _, name = place.rpartition("/")
    host = (urlsplit(str(made.get("url", ""))).hostname or "").split(".")
    reply = _reply(made)
    by_url = host[0] == name and (not namespace or host[1:2] == [namespace])
    return by_url or (reply.get("workload") == name and namespace in ("", reply.get("namespace")))


def _reply(made: Mapping[str, Any]) -> Mapping[str, Any]:
    reply = made.get("body")
    return reply if isinstance(reply, dict) else {}


def _status(made: Mapping[str, Any]) -> int | None:
    status = made.get("status")
    return status if isinstance(status, int) else None


def _outcome(made: Mapping[str, Any]) -> str:
    return str(made.get("outcome") or ("response" if _status(made) is not None else "reset"))


def _says(made: Mapping[str, Any]) -> str:
    status = _status(made)
    by = _reply(made).get("workload")
    return f"{_outcome(made) if status is None else status}{f' by {by}' if by else ''}"


def _expected(spec: Call) -> str:
    words = [
        f"status {spec.status.text()}" if spec.status else "",
        " or ".join(spec.outcome),
        f"an answer by {' or '.join(spec.answered_by)}" if spec.answered_by else "",
        spec.times.text("calls") if spec.times else "",
    ]
    return f"{spec.to} to be called: {', '.join(word for word in words if word)}"
