"""Small exchanges and hops to judge, and checks as a scenario writes them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from meshtest.checks import CheckResult, Facts
from meshtest.checks.run import judge
from meshtest.errors import Location
from meshtest.mesh.manifests import load_text
from meshtest.mesh.model import Pod, PodKind
from meshtest.mesh.yaml_source import documents
from meshtest.scenario.expect import CHECK, CheckSpec
from meshtest.scenario.fields import Spot
from meshtest.traffic.model import BackendReply, BackendRequest, Exchange, Hop, Outcome, Request
from meshtest.traffic.record import FaultWindow, History

CALLER = "default/reviews-v2-0"
CALLEE = "default/ratings-v1-0"
PEER = "spiffe://cluster.local/ns/default/sa/reviews"


def _pod(name: str, ip: str, account: str, kind: PodKind = PodKind.SIDECAR) -> Pod:
    return Pod(
        namespace="default",
        name=name,
        workload=name.rpartition("-")[0],
        workload_kind="Deployment",
        ip=ip,
        kind=kind,
        labels={},
        service_account=account,
    )


PODS = (
    _pod("reviews-v2-0", "10.244.0.2", "reviews"),
    _pod("ratings-v1-0", "10.244.0.3", "ratings"),
    _pod("ratings-v1-1", "10.244.0.4", "ratings"),
    _pod("ratings-v2-0", "10.244.0.5", "ratings"),
    _pod("legacy-0", "10.244.0.6", "legacy", PodKind.PLAIN),
)
PLACE = Location(file="policies.yaml", line=12)
FACTS = Facts(
    pods={pod.key: pod for pod in PODS},
    policies={
        ("AuthorizationPolicy", "default", "viewer"): PLACE,
        ("VirtualService", "default", "ratings"): PLACE,
        ("HTTPRoute", "default", "routed"): Location(file="routes.yaml", line=1),
    },
    routes=tuple(
        load_text(
            "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: routed}, spec: {}}"
        )
    ),
)
HOP: dict[str, Any] = {
    "pod": CALLER, "side": "outbound", "layer": "http", "status": 200, "flags": "", "details": "via_upstream",
    "attempts": 1, "attempt": 1, "route": "", "config": "", "cluster": "", "upstream": "10.244.0.3:9080",
    "peer": "", "tls": "", "upstream_peer": "", "start": 0.0, "duration_ms": 1.0, "faults": (),
}  # fmt: skip


class Make:
    """Builds what checks look at; whatever a test does not say is an ordinary success."""

    facts = FACTS
    caller, callee, peer = CALLER, CALLEE, PEER

    def __init__(self) -> None:
        self.numbers = itertools.count()

    def hop(self, **rest: Any) -> Hop:
        return Hop(**{**HOP, **rest})

    def inbound(self, **rest: Any) -> Hop:
        raw = {"downstream_direct_remote": "10.244.0.2:4711", **rest.pop("raw", {})}
        usual = {"pod": CALLEE, "side": "inbound", "peer": PEER, "tls": "TLSv1.3", "attempts": 1, "raw": raw}
        return self.hop(**{**usual, **rest})

    def backend(self, pod: str = "ratings-v1-0", *, calls: Any = (), **request: Any) -> BackendReply:
        return BackendReply(
            workload=pod.rpartition("-")[0],
            namespace="default",
            pod=pod,
            request=BackendRequest(**request),
            calls=calls,
        )

    def exchange(self, status: int | None = 200, **rest: Any) -> Exchange:
        number = next(self.numbers)
        headers = tuple(rest.pop("sent", {}).items())
        request = replace(Request(url="http://ratings:9080/ratings/0"), headers=headers)
        usual: dict[str, Any] = {
            "id": f"x{number}",
            "caller": CALLER,
            "request": request,
            "outcome": Outcome.RESPONSE,
            "started": number * 0.01,
            "latency": 0.005,
            "status": status,
            "hops": (self.hop(), self.inbound()),
        }
        if status is not None and status < 400:
            usual["backend"] = self.backend()
        return Exchange(**{**usual, **rest})

    def many(self, count: int, status: int | None = 200, **rest: Any) -> list[Exchange]:
        return [self.exchange(status, **rest) for _ in range(count)]

    def window(self, name: str = "abort", **rest: Any) -> FaultWindow:
        usual: dict[str, Any] = {
            "id": name, "kind": "abort", "target": "ratings", "placement": "inbound", "injected": 0.0,
            "recovered": 1.0, "hits": 3, "marked": 3,
        }  # fmt: skip
        return FaultWindow(**{**usual, **rest})

    def spec(self, text: str) -> CheckSpec:
        (document,) = documents(text, "scenario.mesh.yaml")
        return CHECK.read(document.value, Spot(document=document))

    def history(self, exchanges: list[Exchange], *windows: FaultWindow) -> History:
        return History(exchanges=tuple(exchanges), faults=windows, seed=7)

    def judge(self, text: str, exchanges: list[Exchange], *windows: FaultWindow, **facts: Any) -> CheckResult:
        return judge(self.spec(text), self.history(exchanges, *windows), replace(FACTS, **facts))


@pytest.fixture
def make() -> Make:
    return Make()
