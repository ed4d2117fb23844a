"""`deniedBy:`, `allowed:`: what the policies of security decided, and where the one that decided is written.

istiod names its RBAC policies, so Envoy's logs say which rule of an AuthorizationPolicy denied or let through. What
refused by authentication (a token, a certificate, plaintext) they do not name; the exchange knows the policy.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshtest.checks.answered import PASSED_ON
from meshtest.checks.evidence import inbound_hops
from meshtest.checks.judging import every, finding, missing
from meshtest.checks.status import ending
from meshtest.scenario.expect_policy import NO_POLICY
from meshtest.traffic.model import Outcome
from meshtest.traffic.refusals import AUTHORIZATION, Said, others, refusal

if TYPE_CHECKING:
    from meshtest.checks.evidence import Evidence, Facts
    from meshtest.checks.judging import Finding, Judgement
    from meshtest.scenario.expect_policy import Allowed, DeniedBy
    from meshtest.traffic.model import Exchange, Hop

FORBIDDEN = 403
FIRST_ERROR = 400
WOULD = "would be denied"


def matches(spec: DeniedBy, said: Said) -> bool:
    """Whether it is the refusal that a scenario expects."""
    if spec.reason is not None and not spec.reason.holds([said.reason]):
        return False
    if spec.kind not in ("", said.kind):
        return False
    if spec.policy == NO_POLICY:
        return said.kind == AUTHORIZATION and not said.name
    return _is(spec.policy, said) and spec.rule in (None, said.rule)


def _is(policy: str, said: Said) -> bool:
    namespace, _, name = policy.rpartition("/")
    return not policy or (said.name == name and namespace in ("", said.namespace))


def text_of(said: Said, facts: Facts) -> str:
    """`default/ratings-viewer rule 0 (policies.yaml:12)`."""
    why = f": {said.reason}" if said.reason else ""
    if not said.name:
        return f"a {said.kind}{why}" if why else "no matching ALLOW policy"
    place = facts.locate(said.kind, said.namespace, said.name)
    kind = "" if said.kind == AUTHORIZATION else f"{said.kind} "
    rule = f" rule {said.rule}" if said.rule is not None else ""
    return f"{kind}{said.namespace}/{said.name}{rule}{f' ({place})' if place else ''}{why}"


def denials(exchange: Exchange, facts: Facts, at: str = "") -> list[Said]:
    """All refusals of an exchange, or those by one workload."""
    said = (refusal(hop) for hop in _hops(exchange, facts, at))
    return [_named(each, exchange) for each in said if each is not None]


def _hops(exchange: Exchange, facts: Facts, at: str) -> list[Hop]:
    return inbound_hops(exchange, facts, at) if at else [hop for hop in exchange.hops if not hop.mirror]


def _named(said: Said, exchange: Exchange) -> Said:
    known = exchange.decided_by
    if said.name or known is None or (known.kind, known.pod) != (said.kind, said.pod):
        return said
    return replace(said, namespace=known.namespace, name=known.name)


def is_refused(exchange: Exchange) -> bool:
    """Whether the caller saw a refusal: an error, or no response at all."""
    if exchange.outcome is not Outcome.RESPONSE or exchange.grpc_status:
        return True
    return exchange.status is not None and exchange.status >= FIRST_ERROR


def denied_by(spec: DeniedBy, evidence: Evidence) -> Judgement:
    """Every request was denied by the policy, or would have been by one in a dry run."""
    judge = _would_be_denied if spec.dry_run else _denied
    found = [(each, judge(spec, each, evidence.facts)) for each in evidence.exchanges]
    return every(_expected(spec), found)


def _expected(spec: DeniedBy) -> str:
    if spec.policy == NO_POLICY:
        by = " because no ALLOW policy matches"
    elif spec.policy or spec.kind:
        by = f" by {' '.join(filter(None, (spec.kind, spec.policy)))}"
    else:
        by = ""
    rule = f" rule {spec.rule}" if spec.rule is not None else ""
    why = f" since {spec.reason.text()}" if spec.reason else ""
    dry = " in a dry run" if spec.dry_run else ""
    return f"a denial{by}{rule}{f' at {spec.at}' if spec.at else ''}{why}{dry}"


def _denied(spec: DeniedBy, exchange: Exchange, facts: Facts) -> Finding:
    found = denials(exchange, facts, spec.at)
    if found and not spec.at and not is_refused(exchange):
        return finding(f"{ending(exchange)} with a denial at {found[0].pod} behind it", holds=False)
    if found:
        right = [each for each in found if matches(spec, each)]
        return finding(f"a denial by {text_of((right or found)[0], facts)}", holds=bool(right))
    if not is_refused(exchange) and not spec.at:
        return finding(f"{ending(exchange)}, no denial", holds=False)
    if not exchange.complete:
        return missing("no log line of the sidecar that should deny")
    return finding(f"{ending(exchange)}, no denial", holds=False)


def _would_be_denied(spec: DeniedBy, exchange: Exchange, facts: Facts) -> Finding:
    hops = _hops(exchange, facts, spec.at)
    found = [said for hop in hops for said in others(hop) if said.effect == WOULD]
    right = [said for said in found if matches(spec, said)]
    if found:
        return finding(f"would be denied by {text_of((right or found)[0], facts)}", holds=bool(right))
    if not exchange.complete:
        return missing("no log line of the sidecar with the policy")
    return finding(f"{ending(exchange)}, no denial in a dry run", holds=False)


def allowed(spec: Allowed, evidence: Evidence) -> Judgement:
    """No policy stopped a request, and it came through to the application."""
    by, where = f" by {spec.by}" if spec.by else "", f" at {spec.at}" if spec.at else ""
    found = [(each, _allowed(spec, each, evidence.facts)) for each in evidence.exchanges]
    return every(f"to be allowed{by}{where}", found)


def _allowed(spec: Allowed, exchange: Exchange, facts: Facts) -> Finding:
    found = denials(exchange, facts, spec.at)
    if found:
        return finding(f"a denial by {text_of(found[0], facts)}", holds=False)
    if _came_through(exchange, facts, spec.at):
        return _let_through(spec, exchange, facts) if spec.by else finding(ending(exchange), holds=True)
    if not spec.at and exchange.status == FORBIDDEN:
        return finding("403 from the mesh", holds=False)
    if not exchange.complete:
        return missing("a log line is missing")
    return missing(f"no application was reached ({ending(exchange)})")


def _let_through(spec: Allowed, exchange: Exchange, facts: Facts) -> Finding:
    hops = _hops(exchange, facts, spec.at)
    found = [said for hop in hops for said in others(hop) if said.effect == "allowed"]
    right = [said for said in found if _is(spec.by, said)]
    if found:
        return finding(f"allowed by {text_of((right or found)[0], facts)}", holds=bool(right))
    if not exchange.complete:
        return missing("a log line is missing")
    return finding(f"{ending(exchange)}, allowed by no policy", holds=False)


def _came_through(exchange: Exchange, facts: Facts, at: str) -> bool:
    if exchange.backend is not None and not at:
        return True
    return any(_passed(hop) for hop in inbound_hops(exchange, facts, at))


def _passed(hop: Hop) -> bool:
    """Over TCP there are no details; an upstream means that the connection was passed on."""
    return hop.details == PASSED_ON if hop.layer == "http" else bool(hop.upstream)
