"""The key sets that istiod itself fetches for RequestAuthentications, fetched here from inside the mesh's own network.

rule without keys ──► its jwksUri, or that of its issuer ──► a server: in the mesh, or a host outside ──► rule with keys

What Envoys fetch by themselves (the engine's default: servers in the mesh, in plain text) is no matter of this.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from meshtest.live.notices import Notice
from meshtest.mesh.kinds import NETWORKING, SECURITY, group_of
from meshtest.mesh.places import find, locate
from meshtest.traffic.model import ClientTls, Outcome, Protocol, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from meshtest.mesh.model import MeshModel, ObjectRef
    from meshtest.traffic.model import Exchange

    Body = Mapping[str, Any]

MODE = "PILOT_JWT_ENABLE_REMOTE_JWKS"
"""istiod's switch: who fetches."""
_HYBRID, _ENVOY = ("true", "hybrid"), "envoy"
"""Its other words mean istiod."""
_DISCOVERY = "/.well-known/openid-configuration"
_EXTRA = ("istio-system", "pilot-jwks-extra-cacerts", "extra.pem")
"""Where Istio's charts put further authorities that istiod trusts at this (`pilot.jwksResolverExtraRootCA`)."""
CODE = "keys"
"""Of what is said about key sets."""
_REFUSED = "every token will be refused"
_TRIED = "a cluster's istiod would refuse every token; here sidecars try to fetch the keys themselves"
_HOME = "istio-system.svc.cluster.local"
"""Where istiod looks first for a name that is not full: in its own namespace."""
_TIMEOUT = 5.0
"""Seconds, as istiod has it (istio/istio: pilot/pkg/model/jwks_resolver.go)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a rule says that its keys are."""

    issuer: str
    uri: str

    @classmethod
    def of(cls, rule: Body) -> Source:
        """What a rule says, in either spelling of its field."""
        uri = rule.get("jwksUri") or rule.get("jwks_uri") or ""
        return cls(issuer="" if uri else str(rule.get("issuer") or ""), uri=str(uri))


@dataclass(slots=True, kw_only=True)
class KeySets:
    """What has been fetched for one mesh, as long as a rule asks for it."""

    mode: str = ""
    found: dict[Source, str] = field(default_factory=dict)
    missed: dict[Source, str] = field(default_factory=dict)
    """Those that could not be had, and why."""

    def wanted(self, model: MeshModel) -> list[Source]:
        """What is still to be fetched; what no rule asks for any more is forgotten."""
        hosts = _hosts(model)
        asked = {
            source: None
            for _, rules in _policies(model)
            for source in (Source.of(rule) for _, rule in rules)
            if self._fetches(source, hosts)
        }
        self.found = {source: keys for source, keys in self.found.items() if source in asked}
        self.missed = {source: why for source, why in self.missed.items() if source in asked}
        return [source for source in asked if source not in self.found]

    def _fetches(self, source: Source, hosts: frozenset[str]) -> bool:
        """Whether istiod does, and not Envoy; without a word on it, whatever Envoys cannot fetch by themselves."""
        if not source.uri or self.mode not in ("", _ENVOY, *_HYBRID):
            return True
        parts = urlsplit(source.uri)
        known = (parts.hostname or "") in hosts
        return self.mode != _ENVOY and not (known and (self.mode or parts.scheme != "https"))

    def fetch(self, sources: Iterable[Source], send: Callable[[Request], Exchange], authorities: str) -> bool:
        """Try to have the key sets of these; whether there are new ones."""
        before = len(self.found)
        for source in sources:
            self.missed.pop(source, None)
            try:
                self.found[source] = fetch(source, send, authorities)
            except ValueError as exc:
                self.missed[source] = str(exc)
        return len(self.found) > before

    def filled(self, model: MeshModel) -> MeshModel:
        """The mesh with the keys in the place of where they were."""
        if not self.found:
            return model
        return replace(model, objects=[self._with_keys(body) for body in model.objects])

    def _with_keys(self, body: Body) -> Body:
        if not _is_policy(body):
            return body
        rules = [self._rule_with_keys(rule) for rule in _rules(body)]
        return {**body, "spec": {**body["spec"], "jwtRules": rules}} if rules else body

    def _rule_with_keys(self, rule: Body) -> Body:
        keys = None if rule.get("jwks") else self.found.get(Source.of(rule))
        if keys is None:
            return rule
        rest = {key: value for key, value in rule.items() if key not in ("jwksUri", "jwks_uri")}
        return {**rest, "jwks": keys}

    def notices(self, model: MeshModel) -> Iterator[Notice]:
        """A warning for each rule whose keys could not be had."""
        hosts = _hosts(model)
        for ref, rules in _policies(model):
            for index, rule in rules:
                source = Source.of(rule)
                if source in self.missed:
                    known = (urlsplit(source.uri).hostname or "") in hosts
                    yield Notice(
                        level="warning",
                        code=CODE,
                        message=f"{self.missed[source]}: {_TRIED if known else _REFUSED}",
                        object=str(ref),
                        location=locate(model, ref, f"spec.jwtRules[{index}]"),
                    )


def fetch(source: Source, send: Callable[[Request], Exchange], authorities: str) -> str:
    """The key set of a source; raises ValueError with the reason where there is none to be had."""
    uri = source.uri
    if not uri:
        where = source.issuer.rstrip("/") + _DISCOVERY
        uri = str(_mapping(_get(where, send, authorities), where).get("jwks_uri") or "")
        if not uri:
            raise ValueError(f"{where} names no jwks_uri")
    text = _get(uri, send, authorities)
    if not isinstance(_mapping(text, uri).get("keys"), list):
        raise ValueError(f"{uri} answers with no key set")  # noqa: TRY004 - a wrong answer
    return text


def authorities_of(model: MeshModel, public: str) -> str:
    """Whom istiod trusts at this: its system's roots, and what Istio's charts give it besides."""
    namespace, name, key = _EXTRA
    extra = find(model, "", "ConfigMap", namespace, name)
    given = str((extra.body.get("data") or {}).get(key, "")) if extra else ""
    return "\n".join(filter(None, (public, given)))


def _get(uri: str, send: Callable[[Request], Exchange], authorities: str) -> str:
    secure = uri.startswith("https://")
    if not secure and not uri.startswith("http://"):
        raise ValueError(f"{uri!r} is no address of a server")
    tls = ClientTls(ca=authorities, verify_name=True) if secure else None
    protocol = Protocol.HTTPS if secure else Protocol.HTTP
    if secure and not authorities:
        raise ValueError(f"{uri} cannot be trusted: nothing that speaks TLS outside the mesh is declared")
    request = Request(url=uri, protocol=protocol, tls=tls, timeout=_TIMEOUT, follow_redirects=True)
    answer = send(request)
    if answer.outcome is Outcome.UNRESOLVED:
        answer = send(replace(request, address=f"{urlsplit(uri).hostname}.{_HOME}"))
    if answer.status is None:
        raise ValueError(f"{uri} cannot be fetched: {answer.error or answer.outcome.value}")
    if not 200 <= answer.status < 300:
        raise ValueError(f"{uri} answers with status {answer.status}")
    return answer.body.decode("utf-8", "replace")


def _mapping(text: str, uri: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"{uri} answers with no JSON")  # noqa: TRY004 - a wrong answer
    return found


def _is_policy(body: Body) -> bool:
    return body.get("kind") == "RequestAuthentication" and group_of(str(body.get("apiVersion"))) == SECURITY


def _rules(body: Body) -> list[Body]:
    return [*((body.get("spec") or {}).get("jwtRules") or ())]


def _policies(model: MeshModel) -> Iterator[tuple[ObjectRef, list[tuple[int, Body]]]]:
    """Each RequestAuthentication with those of its rules that lack their keys."""
    for manifest in model.manifests:
        if _is_policy(manifest.body):
            yield (
                manifest.ref,
                [each for each in enumerate(_rules(manifest.body)) if not each[1].get("jwks")],
            )


def _hosts(model: MeshModel) -> frozenset[str]:
    """The names under which Envoys find servers."""
    entries = (
        str(host)
        for manifest in model.manifests
        if manifest.ref.kind == "ServiceEntry" and group_of(manifest.ref.api_version) == NETWORKING
        for host in (manifest.body.get("spec") or {}).get("hosts") or ()
    )
    return frozenset((*(service.host for service in model.services), *entries))
