"""`deniedBy:`, `allowed:`: what AuthorizationPolicies decided, and where the one that decided is written.

istiod names its RBAC policies, so Envoy's response code details say which rule denied:
`rbac_access_denied_matched_policy[ns[NS]-policy[NAME]-rule[N]]`, or `[none]` where no ALLOW policy matched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshtest.checks.answered import PASSED_ON
from meshtest.checks.evidence import inbound_hops
from meshtest.checks.judging import every, finding, missing
from meshtest.checks.status import ending
from meshtest.scenario.expect_policy import NO_POLICY
from meshtest.traffic.model import Outcome

if TYPE_CHECKING:
    from meshtest.checks.evidence import Evidence, Facts
    from meshtest.checks.judging import Finding, Judgement
    from meshtest.scenario.expect_policy import Allowed, DeniedBy
    from meshtest.traffic.model import Exchange, Hop

DENIED = re.compile(
    r"rbac_access_denied_matched_policy\["
    r"(?:none|ns\[(?P<namespace>[^\]]*)\]-policy\[(?P<name>[^\]]*)\]-rule\[(?P<rule>\d+)\])\]"
)
PERMISSION_DENIED = 7
FORBIDDEN = 403


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """A refusal by an AuthorizationPolicy; without a name: no ALLOW policy matched."""

    pod: str
    namespace: str = ""
    name: str = ""
    rule: int = 0

    def matches(self, spec: DeniedBy) -> bool:
        """Whether it is the refusal that a scenario expects."""
        namespace, _, name = spec.policy.rpartition("/")
        if not spec.policy:
            return True
        if spec.policy == NO_POLICY or not self.name:
            return spec.policy == NO_POLICY and not self.name
        same = self.name == name and namespace in ("", self.namespace)
        return same and spec.rule in (None, self.rule)

    def text(self, facts: Facts) -> str:
        """`default/ratings-viewer rule 0 (policies.yaml:12)`."""
        if not self.name:
            return "no matching ALLOW policy"
        place = facts.locate("AuthorizationPolicy", self.namespace, self.name)
        return f"{self.namespace}/{self.name} rule {self.rule}{f' ({place})' if place else ''}"


def denial(hop: Hop) -> Denial | None:
    """The refusal that a log line shows, over HTTP or over TCP."""
    found = DENIED.search(f"{hop.details} {hop.raw.get('termination') or ''}")
    if not found:
        return None
    if found["name"] is None:
        return Denial(pod=hop.pod)
    return Denial(pod=hop.pod, namespace=found["namespace"], name=found["name"], rule=int(found["rule"]))


def denials(exchange: Exchange, facts: Facts, at: str = "") -> list[Denial]:
    """All refusals of an exchange, or those by one workload."""
    hops = (
        inbound_hops(exchange, facts, at) if at else [hop for hop in exchange.hops if hop.side != "outbound"]
    )
    return [found for hop in hops if (found := denial(hop))]


def is_refused(exchange: Exchange) -> bool:
    """Whether the caller saw a refusal: 403, PERMISSION_DENIED, or no response at all."""
    if exchange.outcome is not Outcome.RESPONSE:
        return True
    return exchange.status == FORBIDDEN or exchange.grpc_status == PERMISSION_DENIED


def denied_by(spec: DeniedBy, evidence: Evidence) -> Judgement:
    """Every request was denied by the policy."""
    found = [(each, _denied(spec, each, evidence.facts)) for each in evidence.exchanges]
    return every(_expected(spec), found)


def _expected(spec: DeniedBy) -> str:
    if spec.policy == NO_POLICY:
        by = " because no ALLOW policy matches"
    else:
        by = f" by {spec.policy}" if spec.policy else ""
    rule = f" rule {spec.rule}" if spec.rule is not None else ""
    return f"a denial{by}{rule}{f' at {spec.at}' if spec.at else ''}"


def _denied(spec: DeniedBy, exchange: Exchange, facts: Facts) -> Finding:
    found = denials(exchange, facts, spec.at)
    if found and not spec.at and not is_refused(exchange):
        return finding(f"{ending(exchange)} with a denial at {found[0].pod} behind it", holds=False)
    if found:
        right = [each for each in found if each.matches(spec)]
        return finding(f"a denial by {(right or found)[0].text(facts)}", holds=bool(right))
    if not is_refused(exchange) and not spec.at:
        return finding(f"{ending(exchange)}, no denial", holds=False)
    if not exchange.complete:
        return missing("no log line of the sidecar that should deny")
    return finding(f"{ending(exchange)}, no denial", holds=False)


def allowed(spec: Allowed, evidence: Evidence) -> Judgement:
    """No AuthorizationPolicy stopped a request, and it came through to the application."""
    where = f" at {spec.at}" if spec.at else ""
    found = [(each, _allowed(spec, each, evidence.facts)) for each in evidence.exchanges]
    return every(f"to be allowed{where}", found)


def _allowed(spec: Allowed, exchange: Exchange, facts: Facts) -> Finding:
    found = denials(exchange, facts, spec.at)
    if found:
        return finding(f"a denial by {found[0].text(facts)}", holds=False)
    if _came_through(exchange, facts, spec.at):
        return finding(ending(exchange), holds=True)
    if not spec.at and exchange.status == FORBIDDEN:
        return finding("403 from the mesh", holds=False)
    if not exchange.complete:
        return missing("a log line is missing")
    return missing(f"no application was reached ({ending(exchange)})")


def _came_through(exchange: Exchange, facts: Facts, at: str) -> bool:
    if exchange.backend is not None and not at:
        return True
    return any(_passed(hop) for hop in inbound_hops(exchange, facts, at))


def _passed(hop: Hop) -> bool:
    """Over TCP there are no details; an upstream means that the connection was passed on."""
    return hop.details == PASSED_ON if hop.layer == "http" else bool(hop.upstream)
