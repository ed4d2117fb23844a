"""Guesses what was meant by a word that a cluster does not know.

A misspelt field is compared with the words of Istio's and the Gateway API's schemas, and a guess is made only where
the engine, which has the schemas, knows that field in that very place.
"""

from __future__ import annotations

import copy
import difflib
import re
from typing import TYPE_CHECKING, Any

from meshtest.errors import nearest
from meshtest.mesh.kinds import group_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshtest.istiod.engine import Engine, Message
    from meshtest.mesh.model import MeshModel

FIELDS = """
    abort accessLogging action add address addresses allowCredentials allowedRoutes allowHeaders allowMethods
    allowOrigins app appProtocol attempts audiences authority backendRefs backendRequest backoff
    baseEjectionTime bind body caCertificates captureMode certificateRefs cidr cipherSuites clientCertificate
    clusterIP configPatches connectionPool connectTimeout consecutive5xxErrors consecutiveGatewayErrors
    consecutiveLocalOriginFailures consistentHash cookie corsPolicy credentialName customTags defaultEndpoint
    delay delegate destination directResponse distribute egress enabled enableTracing endpoints exact exportTo
    exposeHeaders externalIPs externalName failover failoverPriority fault filters fixedDelay from fromHeaders
    fromParams gateway gatewayClassName gateways grpc grpcStatus h2UpgradePolicy headers host hostname hostnames
    hosts http http1MaxPendingRequests http2MaxRequests httpCookie httpHeaderName httpQueryParameterName
    httpsRedirect httpStatus idleTimeout ignoreUriCase ingress insecureSkipVerify interval ipBlocks issuer jwks
    jwksUri jwtRules keepalive kind labels listeners loadBalancer localityLbSetting location match matches
    matchExpressions matchLabels maxAge maxConnections maxEjectionPercent maxProtocolVersion
    maxRequestsPerConnection maxRetries maxRetryDelay meshConfig method methods metrics minHealthPercent
    minProtocolVersion mirror mirrorPercentage mode name namespace namespaces notHosts notIpBlocks notMethods
    notNamespaces notPaths notPorts notPrincipals notValues number operation outboundTrafficPolicy
    outlierDetection parentRefs path paths percentage perTryTimeout port portLevelMtls portLevelSettings ports
    prefix principals priority privateKey protocol provider providers proxyProtocol queryParams
    randomSamplingPercentage ranges rate redirect redirectCode regex remoteIpBlocks remove removeRequestHeaders
    removeResponseHeaders replaceFullPath replacePrefixMatch request requestHeaderModifier requestHeadersToAdd
    requestMirror requestPrincipals requestRedirect requests resolution response responseHeaderModifier retries
    retryOn retryRemoteLocalities rewrite route routes rules scheme sectionName selector serverCertificate
    servers service serviceAccounts serviceEntries sessionAffinity set simple sni sniHosts source sourceLabels
    sourceNamespace spec splitExternalLocalOriginErrors statPrefix status subjectAltNames subset subsets
    targetHost targetPort targetRef targetRefs tcp tcpKeepalive timeout timeouts tls to tracing trafficPolicy tunnel
    type uri urlRewrite useClientProtocol value values warmup weight when withoutHeaders workloadSelector
    """.split()  # noqa: SIM905 - two hundred words read best as text
_SUPPORTED = re.compile(r'Unsupported value: "(?P<word>[^"]*)": supported values: (?P<known>.+)')
_MISSING = re.compile(r'Referenced (?P<what>[a-z:+ ]+?) not found: "(?P<word>[^"]+)"')


class Guesses:
    """Guesses about the messages of one mesh."""

    def __init__(self, engine: Engine, model: MeshModel) -> None:
        self._engine = engine
        self._model = model

    def of(self, message: Message) -> str:
        """What was likely meant, or nothing."""
        if message.code == "unknown-field":
            return self._field(message)
        if found := _SUPPORTED.search(message.message):
            known = {word.casefold(): word for word in re.findall(r'"([^"]*)"', found["known"])}
            guess = nearest(found["word"].casefold(), known)
            return str(known[guess]) if guess else ""
        if found := _MISSING.search(message.message):
            return nearest(found["word"], self._known(found["what"], message.object.namespace)) or ""
        return ""

    def _field(self, message: Message) -> str:
        body = self._body(message)
        parent, _, word = message.path.rpartition(".")
        if body is None or not word:
            return ""
        for guess in difflib.get_close_matches(word, FIELDS, n=4, cutoff=0.6):
            fixed = renamed(body, parent, word, guess)
            if fixed is not None and not self._is_unknown(fixed, f"{parent}.{guess}"):
                return guess
        return ""

    def _is_unknown(self, body: dict[str, Any], path: str) -> bool:
        return any(one.code == "unknown-field" and one.path == path for one in self._engine.validate([body]))

    def _body(self, message: Message) -> Mapping[str, Any] | None:
        ref = message.object
        wanted = (group_of(ref.api_version), ref.kind, ref.namespace, ref.name)
        for body in self._model.objects:
            meta = body["metadata"]
            if (
                group_of(body["apiVersion"]),
                body["kind"],
                meta.get("namespace", ""),
                meta["name"],
            ) == wanted:
                return body
        return None

    def _known(self, what: str, namespace: str) -> Sequence[str]:
        """The names that a reference could have meant; those of its own namespace also in their short form."""
        hosts = {
            name: service
            for service in self._model.services
            for name in (service.host, *([service.name] if service.namespace == namespace else []))
        }
        if what == "host":
            return [*hosts, *_of(self._specs("ServiceEntry"), "hosts")]
        if what == "host:port":
            return [f"{name}:{port.number}" for name, service in hosts.items() for port in service.ports]
        if what.startswith("host+subset"):
            return [
                f"{spec.get('host')}+{subset.get('name')}"
                for spec in self._specs("DestinationRule")
                for subset in spec.get("subsets") or ()
            ]
        named = [one.ref for one in self._model.manifests if one.ref.kind.casefold() == what]
        return [word for ref in named for word in (ref.name, f"{ref.namespace}/{ref.name}")]

    def _specs(self, kind: str) -> list[Mapping[str, Any]]:
        return [one.body.get("spec") or {} for one in self._model.manifests if one.ref.kind == kind]


def _of(specs: Iterable[Mapping[str, Any]], key: str) -> list[str]:
    return [str(value) for spec in specs for value in spec.get(key) or ()]


def renamed(body: Mapping[str, Any], parent: str, old: str, new: str) -> dict[str, Any] | None:
    """A copy of an object with one key named otherwise; None where the path does not lead to it."""
    made: dict[str, Any] = copy.deepcopy(dict(body))
    at: Any = made
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", parent):
        try:
            at = at[name] if name else at[int(index)]
        except (KeyError, IndexError, TypeError):
            return None
    if not isinstance(at, dict) or old not in at or new in at:
        return None
    at[new] = at.pop(old)
    return made
