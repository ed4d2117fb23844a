"""Which policies a log line says have decided, in the words of the report. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from meshtest.traffic.refusals import others, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest.traffic.model import Decision, Hop
    from meshtest.traffic.refusals import Said

_CONFIG = re.compile(r"/namespaces/(?P<ns>[^/]+)/(?P<kind>[^/]+)/(?P<name>[^/]+)$")


def decided(hop: Hop, decider: Decision | None = None) -> Iterator[tuple[str, str]]:
    """(policy, effect) for each decision; `decider` names the policy that a log line only knows by its kind."""
    refused = refusal(hop)
    if refused is not None:
        yield _policy(_named(refused, decider)), _effect(refused)
    for said in others(hop):
        yield _policy(said), said.effect
    routed = _CONFIG.search(hop.config)
    if routed:
        kind = "".join(word.capitalize() for word in routed["kind"].split("-"))
        yield f"{kind} {routed['ns']}/{routed['name']}", "routed"


def _named(said: Said, decider: Decision | None) -> Said:
    if said.name or decider is None or (decider.kind, decider.pod) != (said.kind, said.pod):
        return said
    return replace(said, namespace=decider.namespace, name=decider.name)


def _policy(said: Said) -> str:
    if said.name:
        rule = "" if said.rule is None else f" rule {said.rule}"
        return f"{said.kind} {said.namespace}/{said.name}{rule}"
    return said.kind if said.reason else f"{said.kind}: no ALLOW rule matched"


def _effect(said: Said) -> str:
    return f"{said.effect}: {said.reason}" if said.reason else said.effect
