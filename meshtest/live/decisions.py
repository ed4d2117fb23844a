"""Which policy decided an exchange: what istiod's names in the access logs mean in the user's files. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meshtest.explain.policies import routing
from meshtest.live.authentication import for_peers, for_tokens
from meshtest.mesh.kinds import NETWORKING, SECURITY
from meshtest.mesh.places import find, locate
from meshtest.traffic.model import Decision
from meshtest.traffic.refusals import DESTINATION_RULE, PEER, REQUEST, others, refusal
from meshtest.traffic.tokens import claims_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshtest.mesh.model import Manifest, MeshModel, Pod
    from meshtest.traffic.model import Exchange, Hop, Request
    from meshtest.traffic.refusals import Said

_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")


def told(exchanges: Iterable[Exchange], model: MeshModel) -> list[Exchange]:
    """The same exchanges, each with the policy that decided it, and a backend that has a namespace and a workload."""
    by_name = {pod.key: pod for pod in model.pods}
    for pod in model.pods:
        by_name.setdefault(pod.name, pod)
    return [_named(exchange, by_name) for exchange in decided(exchanges, model)]


def _named(exchange: Exchange, by_name: Mapping[str, Pod]) -> Exchange:
    """An application that is not the stand-in may know its host name only, which is its pod's."""
    backend = exchange.backend
    if backend is None:
        return exchange
    seen = {hop.pod.rpartition("/")[2]: hop.pod for hop in exchange.hops}
    said = f"{backend.namespace}/{backend.pod}" if backend.namespace else seen.get(backend.pod, backend.pod)
    pod = by_name.get(said)
    if pod is None or (pod.namespace, pod.workload) == (backend.namespace, backend.workload):
        return exchange
    return replace(exchange, backend=replace(backend, namespace=pod.namespace, workload=pod.workload))


def decided(exchanges: Iterable[Exchange], model: MeshModel) -> list[Exchange]:
    """The same exchanges, each with the policy that decided it and those that had a say."""
    known: dict[tuple[str, ...], tuple[Decision | None, tuple[Decision, ...]]] = {}
    found = []
    for exchange in exchanges:
        hops = [hop for hop in exchange.hops if not hop.mirror]  # a copy says nothing of the request
        issuer = issuer_of(exchange.request)
        said = (issuer, *map(_said, hops))
        if said not in known:
            policies = (each for hop in hops for each in others(hop))
            known[said] = (
                decision(hops, model, issuer),
                tuple(_decision(each, model, issuer) for each in policies),
            )
        decider, policies_ = known[said]
        known_of = decider is not None or policies_
        found.append(replace(exchange, decided_by=decider, policies=policies_) if known_of else exchange)
    return found


def decision(hops: Iterable[Hop], model: MeshModel, issuer: str = "") -> Decision | None:
    """The policy that denied, else the one that routed; None where the logs name none.

    Where a callee refused, what its caller's sidecar says of the broken connection is no decision of its own.
    """
    routed = None
    refused: list[Said] = []
    for hop in hops:
        said = refusal(hop)
        if said is not None:
            refused.append(said)
        routed = routed or _route(hop, model)
    refused.sort(key=lambda said: said.kind == DESTINATION_RULE)
    return _decision(refused[0], model, issuer) if refused else routed


def issuer_of(request: Request) -> str:
    """The issuer of the token that a request carries, wherever it does; unverified."""
    for text in (*(value for _, value in request.headers), request.url):
        found = _TOKEN.search(text)
        if found is not None:
            return str(claims_of(found[0]).get("iss", ""))
    return ""


def _said(hop: Hop) -> str:
    """Everything in a line that decisions are made of."""
    keys = ("termination", "rbac", "downstream_failure", "upstream_failure", "destination_rule")
    raw = [hop.raw.get(key) for key in keys]
    return f"{hop.pod} {hop.side} {hop.layer} {hop.tls} {hop.details} {hop.config} {hop.route} {raw} {hop.cluster}"


def _decision(said: Said, model: MeshModel, issuer: str) -> Decision:
    """The same with the place where the user wrote it."""
    manifest, path = _behind(said, model, issuer)
    ref = manifest.ref if manifest is not None else None
    audited = said.effect == "allowed" and manifest is not None and _spec(manifest).get("action") == "AUDIT"
    return Decision(
        kind=said.kind,
        namespace=ref.namespace if ref else said.namespace,
        name=ref.name if ref else said.name,
        effect="audited" if audited else said.effect,
        rule=said.rule,
        location=locate(model, ref, path) if ref else None,
        pod=said.pod,
        reason=said.reason,
    )


def _behind(said: Said, model: MeshModel, issuer: str) -> tuple[Manifest | None, str]:
    """The policy that a log line names; of authentication, the one that it must mean. And where in it."""
    pod = model.pod(said.pod)
    if said.kind == DESTINATION_RULE:
        return find(model, NETWORKING, said.kind, said.namespace, said.name), "spec.trafficPolicy.tls"
    if said.name:
        path = "" if said.rule is None else f"spec.rules[{said.rule}]"
        return find(model, SECURITY, said.kind, said.namespace, said.name), path
    if pod is None or said.kind not in (REQUEST, PEER):
        return None, ""
    found = for_peers(model, pod, said.port) if said.kind == PEER else for_tokens(model, pod, issuer)
    return found or (None, "")


def _spec(manifest: Manifest) -> Mapping[str, Any]:
    return manifest.body.get("spec") or {}


def _route(hop: Hop, model: MeshModel) -> Decision | None:
    found = routing(model, hop.config, hop.route)
    return replace(found, pod=hop.pod) if found else None
