"""What RBAC filters and authorization services make of a request or a connection."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meshtest.explain import metadata, policies, rbac
from meshtest.explain.truth import Unknown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest.explain.here import Branch, Here
    from meshtest.explain.model import Way
    from meshtest.explain.rbac import Match, Subject

HTTP_RBAC = "envoy.filters.http.rbac"
NETWORK_RBAC = "envoy.filters.network.rbac"
DENIED = "rbac_access_denied_matched_policy[{}]"
_EXTERNAL = "istio_ext_authz_"
_ACTIONS = {rbac.ALLOW: "allowed", rbac.DENY: "denied", rbac.LOG: "audited"}


def judged(here: Here, config: Any, subject: Subject, branch: Branch, denied: Way, name: str) -> list[Branch]:
    """What an RBAC filter called `name` makes of a branch: it goes on, or ends with `denied`."""
    subject = replace(subject, metadata=branch.metadata)
    branches = [branch]
    if config.HasField("shadow_rules"):
        branches = list(_shadowed(here, config, subject, branch, name))
    if not config.HasField("rules"):
        return branches
    return [after for one in branches for after in _enforced(here, config.rules, subject, one, denied)]


def _possible(rules: Any, subject: Subject, branch: Branch) -> Iterator[tuple[str | None, Branch]]:
    """Every policy that may be the first to match, and None where none of them does; each on its conditions."""
    reasons: list[str] = []
    for match in rbac.matches(rules, subject):
        yield match.policy, _conditional(branch, match, reasons)
        if not isinstance(match.truth, Unknown):
            return
        reasons.append(match.truth.reason)
    yield None, _otherwise(branch, reasons)


def _conditional(branch: Branch, match: Match, reasons: list[str]) -> Branch:
    if isinstance(match.truth, Unknown):
        return branch.when(f"depending on {match.truth.reason}")
    return _otherwise(branch, reasons)


def _otherwise(branch: Branch, reasons: list[str]) -> Branch:
    return branch.when(f"depending on {reasons[0]}") if reasons else branch


def _enforced(here: Here, rules: Any, subject: Subject, branch: Branch, denied: Way) -> Iterator[Branch]:
    allows, denies = rules.action == rbac.ALLOW, rules.action == rbac.DENY
    for policy, own in _possible(rules, subject, branch):
        matched = policy is not None
        if matched or allows:
            refused = denies if matched else True
            effect = "denied" if refused else _ACTIONS[rules.action]
            said = own.saying(policies.authorization(here.model, policy or "", effect))
            yield said.ending(denied, DENIED.format(policy or "none")) if refused else said
        else:
            yield own


def _shadowed(here: Here, config: Any, subject: Subject, branch: Branch, name: str) -> Iterator[Branch]:
    """Rules that decide nothing themselves: a dry run, or whether an authorization service is asked."""
    rules, prefix = config.shadow_rules, config.shadow_rules_stat_prefix
    external = prefix == _EXTERNAL
    found = list(_possible(rules, subject, branch))
    if not external and len(found) > 1:
        found = [(None, branch)]  # which of them would have matched changes nothing
    for policy, own in found:
        allowed = (policy is not None) == (rules.action == rbac.ALLOW)
        told = {f"{prefix}shadow_engine_result": "allowed" if allowed else "denied"}
        if policy is not None:
            told[f"{prefix}shadow_effective_policy_id"] = policy
            effect = "asks" if external else f"would be {'allowed' if allowed else 'denied'}"
            own = own.saying(policies.authorization(here.model, policy, effect))  # noqa: PLW2901 - goes on
        before = own.metadata.get(name, {})
        yield replace(own, metadata={**own.metadata, name: {**before, **told}})


def asked(config: Any, branch: Branch, refused: Way) -> list[Branch]:
    """What an ext_authz filter makes of a branch: only the service knows."""
    if config.HasField("filter_enabled_metadata"):
        enabled = metadata.matches(config.filter_enabled_metadata, branch.metadata)
        if enabled is False:
            return [branch]
    service = service_of(config)
    by = [one for one in branch.crossing.decisions if one.effect == "asks"]
    verdict = replace(by[-1], effect="denied") if by else None
    refusal = branch.when(f"if the authorization service {service} refuses")
    return [
        branch.when(f"if the authorization service {service} allows it"),
        (refusal.saying(verdict) if verdict else refusal).ending(refused, "ext_authz_denied"),
    ]


def service_of(config: Any) -> str:
    """The cluster of an authorization service."""
    if config.HasField("grpc_service"):
        return str(config.grpc_service.envoy_grpc.cluster_name)
    found = getattr(config, "http_service", None)
    return str(found.server_uri.cluster) if found is not None else "?"
