"""Envoy's RBAC: which policy of a filter meets a request or a connection.

envoy: source/extensions/filters/common/rbac/{engine_impl,matchers}.cc
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from envoy.config.rbac.v3 import rbac_pb2
from envoy.extensions.path.match.uri_template.v3 import uri_template_match_pb2

from meshtest.explain import matching, metadata
from meshtest.explain.configuration import unpacked
from meshtest.explain.truth import Truth, Unknown, every, negated, some

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshtest.explain.wire import HttpRequest, Wire

ALLOW, DENY, LOG = rbac_pb2.RBAC.ALLOW, rbac_pb2.RBAC.DENY, rbac_pb2.RBAC.LOG
_URI_TEMPLATE = uri_template_match_pb2.UriTemplateMatchConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is judged: a connection, and the request on it where HTTP is read."""

    wire: Wire
    """As it came to the Envoy; its outermost TLS terminated already."""
    peer: str = ""
    tls: bool = False
    sni: str = ""
    request: HttpRequest | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Dynamic metadata that filters before wrote, by their names."""


@dataclass(frozen=True, slots=True)
class Match:
    """A policy that meets the subject; `truth` is True, or why that is not known."""

    policy: str
    truth: Truth


def matches(rules: Any, subject: Subject) -> list[Match]:
    """The policies that may decide, in Envoy's order: the first that surely matches is the last."""
    found = []
    for name in sorted(rules.policies):
        policy = rules.policies[name]
        truth = every(
            (
                some(_permission(one, subject) for one in policy.permissions),
                some(_principal(one, subject) for one in policy.principals),
                _no_condition(policy),
            )
        )
        if truth is not False:
            found.append(Match(name, truth))
        if truth is True:
            break
    return found


def _no_condition(policy: Any) -> Truth:
    asked = policy.HasField("condition") or policy.HasField("checked_condition")
    return Unknown("a condition in CEL") if asked else True


def _permission(rule: Any, subject: Subject) -> Truth:
    kind = rule.WhichOneof("rule")
    if kind == "and_rules":
        return every(_permission(one, subject) for one in rule.and_rules.rules)
    if kind == "or_rules":
        return some(_permission(one, subject) for one in rule.or_rules.rules)
    if kind == "not_rule":
        return negated(_permission(rule.not_rule, subject))
    return _simple(rule, kind, subject)


def _principal(rule: Any, subject: Subject) -> Truth:
    kind = rule.WhichOneof("identifier")
    if kind == "and_ids":
        return every(_principal(one, subject) for one in rule.and_ids.ids)
    if kind == "or_ids":
        return some(_principal(one, subject) for one in rule.or_ids.ids)
    if kind == "not_id":
        return negated(_principal(rule.not_id, subject))
    return _simple(rule, kind, subject)


def _simple(rule: Any, kind: str | None, subject: Subject) -> Truth:
    if kind is None or kind not in _JUDGED:
        return Unknown(f"a rule of kind {kind}")
    return _JUDGED[kind](getattr(rule, kind), subject)


def _url_path(rule: Any, subject: Subject) -> Truth:
    return False if subject.request is None else matching.string(rule.path, subject.request.path_only)


def _header(rule: Any, subject: Subject) -> Truth:
    return False if subject.request is None else matching.header(rule, subject.request)


def _authenticated(rule: Any, subject: Subject) -> Truth:
    if not subject.tls:
        return False
    if not rule.HasField("principal_name"):
        return bool(subject.peer)
    return matching.string(rule.principal_name, subject.peer)


def _uri_template(extension: Any, subject: Subject) -> Truth:
    found = unpacked(extension.typed_config, _URI_TEMPLATE)
    if found is None:
        return Unknown(f"a path matcher {extension.name}")
    if subject.request is None:
        return False
    return matching.template(found.path_template).fullmatch(subject.request.path_only) is not None


def remote_address(subject: Subject) -> str:
    """Envoy's idea of the client: the last hop of X-Forwarded-For, else who connected."""
    values = subject.request.headers.get("x-forwarded-for", ()) if subject.request else ()
    hops = [hop.strip() for value in values for hop in value.split(",")]
    return hops[-1] if hops and _is_address(hops[-1]) else subject.wire.source


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _in_range(found: Any, address: str) -> bool:
    network = ipaddress.ip_network(f"{found.address_prefix}/{found.prefix_len.value}", strict=False)
    own = ipaddress.ip_address(address)
    return own.version == network.version and own in network


_JUDGED: dict[str, Callable[[Any, Subject], Truth]] = {
    "any": lambda rule, _: bool(rule),
    "authenticated": _authenticated,
    "destination_ip": lambda rule, subject: _in_range(rule, subject.wire.address),
    "destination_port": lambda rule, subject: bool(rule == subject.wire.port),
    "destination_port_range": lambda rule, subject: bool(rule.start <= subject.wire.port < rule.end),
    "direct_remote_ip": lambda rule, subject: _in_range(rule, subject.wire.source),
    "header": _header,
    "metadata": lambda rule, subject: metadata.matches(rule, subject.metadata),
    "remote_ip": lambda rule, subject: _in_range(rule, remote_address(subject)),
    "requested_server_name": lambda rule, subject: matching.string(rule, subject.sni),
    "source_ip": lambda rule, subject: _in_range(rule, subject.wire.source),
    "uri_template": _uri_template,
    "url_path": _url_path,
}
"""Permissions and principals that hold no others."""
