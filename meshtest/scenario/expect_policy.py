"""Expectations of what the policies did: attempts, mTLS, denials, routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshtest.scenario.bounds import Bounds, ShareBounds, TextMatch, agree, limit_keys, shares, text_match
from meshtest.scenario.expect_answer import wrapped
from meshtest.scenario.fields import Shape, Short, key, list_of, record
from meshtest.scenario.scalars import boolean, integer, text, word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.scenario.fields import Spot

DENIERS = ("AuthorizationPolicy", "RequestAuthentication", "PeerAuthentication", "DestinationRule")
NO_POLICY = "none"
"""Envoy's word for: denied because no ALLOW policy matched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """`attempts: {atMost: 2}`: how often the caller's sidecar (or that of `by`) tried."""

    bounds: Bounds
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mtls:
    """`mtls: true`, `mtls: {peer: spiffe://...}`: how requests came to who answered, or to `to`."""

    on: bool = True
    peer: str = ""
    to: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeniedBy:
    """`deniedBy: ratings-viewer`; the policy `none` stands for: no ALLOW policy matched."""

    policy: str = ""
    """`name` or `namespace/name`; empty: any."""
    kind: str = ""
    """Of the policy; empty: any."""
    rule: int | None = None
    reason: TextMatch | None = None
    """In Envoy's words."""
    at: str = ""
    """The workload whose sidecar denies; empty: whichever answers the caller."""
    dry_run: bool = False
    """Whether it is a policy in a dry run, which would have denied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """`allowed: true`: no policy stopped it; `allowed: {by: viewer}`: that AuthorizationPolicy let it through."""

    at: str = ""
    by: str = ""
    """`name` or `namespace/name`; empty: whichever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedBy:
    """`routedBy: ratings`: the VirtualService or route that the caller's sidecar used."""

    route: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseFlags:
    """`responseFlags: UO`: Envoy's flags in the access log of the caller's sidecar."""

    flags: tuple[str, ...] = ()
    share: ShareBounds | None = None


def _attempts(by: str = "", **limits: float) -> Attempts:
    return Attempts(bounds=Bounds(**limits), by=by)


def _attempt_limits(spec: Attempts, spot: Spot) -> None:
    limits = spec.bounds
    agree(limits.at_least, limits.at_most, limits.exactly, spot)
    if limits == Bounds():
        raise spot.error("no limit", expected="atLeast, atMost or exactly")


def _peer_is_spiffe(spec: Mtls, spot: Spot) -> None:
    if spec.peer and not spec.peer.startswith("spiffe://"):
        raise spot.key("peer").error(
            f"{spec.peer!r} is no SPIFFE identity", expected="spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/ACCOUNT"
        )
    if spec.peer and not spec.on:
        raise spot.error("a peer without mTLS", expected="peer alone")


def _allowed(value: Any, spot: Spot) -> Allowed:
    if value is False:
        raise spot.error("false says nothing about who denies", expected="deniedBy instead")
    return _ALLOWED.read({} if value is True else value, spot)


def _denier(spec: DeniedBy, spot: Spot) -> None:
    if spec.kind not in ("", DENIERS[0]) and (spec.rule is not None or spec.dry_run):
        wrong = "rule" if spec.rule is not None else "dryRun"
        raise spot.key(wrong).error(f"a {spec.kind} has no {wrong}", expected=f"kind: {DENIERS[0]}")


_ALLOWED = record(
    Allowed,
    {"at": key("at", text("a workload")), "by": key("by", text("an AuthorizationPolicy"))},
    empty=True,
)
_ATTEMPT = integer(least=0, what="a number of attempts")
POLICY = text("a policy, as name or namespace/name")
CHECKS: Mapping[str, Shape[Any]] = {
    "attempts": record(
        _attempts,
        {**limit_keys(_ATTEMPT), "by": key("by", text("a workload"))},
        short=Short(attribute="exactly", shape=_ATTEMPT),
        verify=_attempt_limits,
    ),
    "mtls": record(
        Mtls,
        {
            "mode": key("on", boolean()),
            "peer": key("peer", text("a SPIFFE identity")),
            "to": key("to", text("a workload")),
        },
        short=Short(attribute="on", shape=boolean()),
        verify=_peer_is_spiffe,
    ),
    "deniedBy": record(
        DeniedBy,
        {
            "policy": key("policy", POLICY),
            "kind": key("kind", word(DENIERS, "kind of policy")),
            "rule": key("rule", integer(least=0, what="the index of a rule")),
            "reason": key("reason", text_match()),
            "at": key("at", text("a workload")),
            "dryRun": key("dry_run", boolean()),
        },
        short=Short(attribute="policy", shape=POLICY),
        verify=_denier,
    ),
    "allowed": Shape(
        expected="true, or a mapping with at or by",
        read=_allowed,
        schema={"anyOf": [{"const": True}, _ALLOWED.schema]},
    ),
    "routedBy": wrapped(RoutedBy, "route", text("a VirtualService or route, as name or namespace/name")),
    "responseFlags": record(
        ResponseFlags,
        {
            "in": key("flags", list_of(text("a response flag such as UO")), required=True),
            "share": key("share", shares()),
        },
        short=Short(attribute="flags", shape=list_of(text("a response flag such as UO"))),
    ),
}
