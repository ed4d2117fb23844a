"""Every way to say how mTLS is spoken, with every protocol, from callers with a sidecar and without: on real traffic.

    PeerAuthentication (mesh, namespace, workload, port) x DestinationRule tls x caller x protocol

What must happen is computed here, by the rules of Istio's documentation and not by its code:

- The mode of a port is the port's own, else the workload's, the namespace's, the mesh's; UNSET inherits; the default is
  PERMISSIVE. STRICT takes mTLS only, DISABLE takes what comes as it comes, PERMISSIVE takes both.
- A sidecar speaks as its DestinationRule says. Without one it speaks mTLS, but not to ports that have it disabled, nor
  where the namespace has: that a workload wants it nevertheless is not heard of then (istio/istio:
  pilot/pkg/model/push_context.go, BestEffortInferServiceMTLSMode).
- SIMPLE is TLS without a client certificate; no public CA has signed a workload's, so the caller refuses the callee.
- A caller without a sidecar speaks as it speaks; of its own TLS a sidecar that takes mTLS only wants a certificate.
- Servers that speak first get no connection that must first be looked into, since nobody says anything on it.
- HTTP/1.0 is no HTTP to a caller's sidecar (istio/istio: pilot/pkg/networking/core/listener.go, plaintextHTTPALPNs): it
  lets it pass as plaintext, whatever the DestinationRule says, and a callee's that takes it answers 426.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.traffic.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshtest import Mesh
    from meshtest.traffic.model import Exchange

pytestmark = pytest.mark.mesh("fixtures/protocols")

MODES = ("STRICT", "PERMISSIVE", "DISABLE")
SIDECAR, PLAIN = "shop/alice", "shop/legacy"
IDENTITY = "spiffe://cluster.local/ns/shop/sa/alice"
NOBODY_SPEAKS = 0.2
"""Seconds after which a connection on which nobody speaks is given up."""
PATIENCE = 15.0
OVERRIDDEN = (8080, 8083, 8443)
"""The callee's ports that port-level policies are about; the others keep the workload's mode."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    url: str
    port: int
    """The workload's."""
    fields: Mapping[str, Any] = field(default_factory=dict)


HELLO: dict[str, Any] = {"body": b"hello"}
PROTOCOLS = {
    "http": Protocol(url="http://server.shop/", port=8080),
    "http/1.0": Protocol(url="http://server.shop/", port=8080, fields={"protocol": "http/1.0"}),
    "websocket": Protocol(url="ws://server.shop/", port=8080, fields=HELLO),
    "h2c": Protocol(url="h2c://server.shop:81/", port=8081),
    "grpc": Protocol(url="grpc://server.shop:82/shop.Cart/Add", port=8082),
    "tcp": Protocol(url="tcp://server.shop:83", port=8083, fields=HELLO),
    "server-first": Protocol(url="tcp://server.shop:84", port=8084, fields={"server_first": True}),
    "tls": Protocol(url="tls://server.shop:443", port=8443, fields=HELLO),
}


@dataclass(frozen=True, kw_only=True)
class Peers:
    """PeerAuthentications, one per level that says something."""

    mesh: str = ""
    namespace: str = ""
    workload: str = ""
    port: str = ""

    def __str__(self) -> str:
        said = {"mesh": self.mesh, "ns": self.namespace, "workload": self.workload, "port": self.port}
        return ",".join(f"{level}-{mode}" for level, mode in said.items() if mode) or "none"

    def level(self, port: int) -> str:
        """The level whose mode holds for a port of the callee; empty: none says anything."""
        own = self.port if port in OVERRIDDEN else ""
        said = {"port": own, "workload": self.workload, "namespace": self.namespace, "mesh": self.mesh}
        return next((level for level, mode in said.items() if mode not in ("", "UNSET")), "")

    def mode(self, port: int) -> str:
        level = self.level(port)
        return getattr(self, level) if level else "PERMISSIVE"

    def off_in_the_namespace(self) -> bool:
        said = (mode for mode in (self.namespace, self.mesh) if mode not in ("", "UNSET"))
        return next(said, "") == "DISABLE"

    def manifests(self) -> str:
        selector = "selector: {matchLabels: {app: server}}"
        ports = ", ".join(f"{port}: {{mode: {self.port}}}" for port in OVERRIDDEN)
        levels = f"portLevelMtls: {{{ports}}}" if self.port else ""
        made = [
            _peer("mesh", "istio-system", self.mesh),
            _peer("namespace", "shop", self.namespace),
            _peer("workload", "shop", self.workload or ("UNSET" if self.port else ""), selector, levels),
        ]
        return "".join(made)


def _peer(name: str, namespace: str, mode: str, *more: str) -> str:
    if not mode:
        return ""
    spec = ", ".join((f"mtls: {{mode: {mode}}}", *filter(None, more)))
    head = "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\n"
    return f"{head}metadata: {{name: {name}, namespace: {namespace}}}\nspec: {{{spec}}}\n"


def peers() -> Iterator[Peers]:
    """Every level alone, and every pair of levels that follow each other, with UNSET between."""
    yield Peers()
    for mode in MODES:
        yield Peers(mesh=mode)
        yield Peers(namespace=mode)
        yield Peers(workload=mode)
        yield Peers(port=mode)
        yield Peers(mesh=mode, namespace="UNSET", workload="UNSET")
        for other in MODES:
            yield Peers(mesh=mode, namespace=other)
            yield Peers(namespace=mode, workload=other)
            yield Peers(workload=mode, port=other)


RULES = ("", "DISABLE", "SIMPLE", "ISTIO_MUTUAL")


def rule(mode: str) -> str:
    if not mode:
        return ""
    return f"""
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: server, namespace: shop}}
spec: {{host: server.shop.svc.cluster.local, trafficPolicy: {{tls: {{mode: {mode}}}}}}}
"""


def spoken(caller: str, protocol: str, destination_rule: str, policies: Peers) -> str:
    """What comes to the callee's sidecar: plaintext (also the caller's own TLS), mtls or simple."""
    disabled = policies.mode(PROTOCOLS[protocol].port) == "DISABLE" or policies.off_in_the_namespace()
    if caller == PLAIN or protocol == "http/1.0" or destination_rule == "DISABLE":
        return "plaintext"
    if destination_rule:
        return "simple" if destination_rule == "SIMPLE" else "mtls"
    return "plaintext" if disabled else "mtls"


def expected(protocol: str, transport: str, mode: str) -> str:
    """`ok`, `426`, `refused` or `silence`."""
    if transport == "simple":
        return "refused"
    if transport == "mtls":
        return "refused" if mode == "DISABLE" else "ok"
    if protocol == "server-first" and mode != "DISABLE":
        return "silence"
    if mode == "STRICT":
        return "refused"
    return "426" if protocol == "http/1.0" else "ok"


def observed(exchange: Exchange) -> str:
    if exchange.status == 426:
        return "426"
    if exchange.backend is not None and not exchange.grpc_status:
        return "ok"
    return "silence" if exchange.outcome is Outcome.TIMEOUT else "refused"


def send(mesh: Mesh, caller: str, protocol: str, timeout: float) -> Exchange:
    chosen = PROTOCOLS[protocol]
    return mesh.request(caller, chosen.url, timeout=timeout, **chosen.fields)


def arrived(exchange: Exchange) -> str:
    """How it came to the callee, by the log of the callee's sidecar."""
    inbound = [hop for hop in exchange.hops if hop.side == "inbound"]
    if not inbound:
        return f"nothing in the callee's log, of {[(hop.pod, hop.layer, hop.flags) for hop in exchange.hops]}"
    return "mtls" if all(hop.peer == IDENTITY for hop in inbound) else "plaintext"


def cell(mesh: Mesh, caller: str, protocol: str, policies: Peers, destination_rule: str) -> str:
    """What is wrong about one cell; empty if nothing is."""
    mode = policies.mode(PROTOCOLS[protocol].port)
    transport = spoken(caller, protocol, destination_rule, policies)
    wanted = expected(protocol, transport, mode)
    exchange = send(mesh, caller, protocol, NOBODY_SPEAKS if wanted == "silence" else PATIENCE)
    seen = observed(exchange)
    if seen != wanted:
        return f"{caller} {protocol}: expected {wanted}, saw {seen} ({exchange.status}, {exchange.error})"
    if seen == "ok" and arrived(exchange) != transport:
        return f"{caller} {protocol}: expected {transport}, saw {arrived(exchange)}"
    if seen == "refused" and transport == "plaintext":
        return _blame(exchange, policies.level(PROTOCOLS[protocol].port), f"{caller} {protocol}")
    return ""


def _blame(exchange: Exchange, level: str, what: str) -> str:
    """Plaintext that was refused was refused by the PeerAuthentication of the level that holds."""
    known = exchange.decided_by
    name = "workload" if level == "port" else level
    if known is None or (known.kind, known.name) != ("PeerAuthentication", name):
        return f"{what}: refused by {name}, but the evidence says {known}"
    return ""


CELLS = [(policies, destination_rule) for policies in peers() for destination_rule in RULES]


@pytest.mark.parametrize(
    ("policies", "destination_rule"),
    CELLS,
    ids=[f"{policies}-{destination_rule or 'auto'}" for policies, destination_rule in CELLS],
)
def test_cells(mesh: Mesh, policies: Peers, destination_rule: str) -> None:
    mesh.replace(*filter(None, [policies.manifests() + rule(destination_rule)]))
    callers = (SIDECAR,) if destination_rule else (SIDECAR, PLAIN)
    wrong = [
        cell(mesh, caller, protocol, policies, destination_rule)
        for caller in callers
        for protocol in PROTOCOLS
    ]
    assert not any(wrong), "\n".join(filter(None, wrong))


def test_the_matrix_is_whole() -> None:
    """Every mode of every level, every mode of a DestinationRule, every protocol, in more than a thousand cells."""
    assert {policies.mode(port) for policies, _ in CELLS for port in (8080, 8081)} == set(MODES)
    assert {policies.level(8080) for policies, _ in CELLS} == {"", "mesh", "namespace", "workload", "port"}
    assert len(CELLS) * len(PROTOCOLS) > 1000


def test_a_wrong_expectation_is_noticed(mesh: Mesh) -> None:
    """The twin: under STRICT, cells that expect what PERMISSIVE would do must fail, each with what was seen."""
    mesh.replace(Peers(mesh="STRICT").manifests())
    assert "expected ok, saw refused" in cell(mesh, PLAIN, "http", Peers(), "")
    assert cell(mesh, PLAIN, "http", Peers(mesh="STRICT"), "") == ""
    assert "expected plaintext, saw mtls" in cell(mesh, SIDECAR, "tcp", Peers(mesh="DISABLE"), "")
    assert "the evidence says" in cell(mesh, PLAIN, "tcp", Peers(namespace="STRICT"), "")
