"""Results of runs that never were, for tests of the report; `python invented.py FOLDER` renders a sample."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshtest.report.exchanges import pack, unpack
from meshtest.report.html import render
from meshtest.report.journal import Journal
from meshtest.report.results import check, counts, decisions, fault, result, run
from meshtest.traffic.accesslog import line_of
from meshtest.traffic.model import BackendReply, BackendRequest, Exchange, Hop, Outcome, Request

if TYPE_CHECKING:
    from meshtest.report.model import Result, Run

T0 = 1_795_400_000.0
HOSTILE = "</script><img src=x onerror=alert(1)>\u202egnp.exe\"' {{ 7*7 }} <style>*{}</style>\x1b[31m"
SPIFFE = "spiffe://cluster.local/ns/default/sa/bookinfo-"
VIRTUAL_SERVICE = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ratings}
spec:
  hosts: [ratings]
  http:
    - route: [{destination: {host: ratings}}]
      retries: {attempts: 2, retryOn: 5xx}
"""


def hop(**changed: Any) -> Hop:
    """A hop of reviews' sidecar, unless told otherwise."""
    fields: dict[str, Any] = {
        "pod": "default/reviews-v2-0",
        "side": "outbound",
        "layer": "http",
        "status": 200,
        "flags": "-",
        "details": "via_upstream",
        "attempts": 1,
        "attempt": 1,
        "route": "default",
        "peer": "",
        "tls": "",
        "config": "/apis/networking.istio.io/v1/namespaces/default/virtual-service/ratings",
        "cluster": "outbound|9080||ratings.default.svc.cluster.local",
        "upstream": "10.244.0.9:9080",
        "upstream_peer": SPIFFE + "ratings",
        "start": T0,
        "duration_ms": 3.0,
        "faults": (),
    }
    bare = Hop(**{**fields, **changed})
    line = {**line_of(bare), "upstream_tls": "TLSv1.3" if bare.upstream_peer else None}
    return replace(bare, raw=line)


def exchange(number: int, **changed: Any) -> Exchange:
    """A request from reviews to ratings that went well, unless told otherwise."""
    started = T0 + number / 100
    status = changed.get("status", 200)
    answer = BackendReply(
        workload="ratings-v1", namespace="default", pod="default/ratings-v1-0", request=BackendRequest()
    )
    inbound = hop(
        pod="default/ratings-v1-0",
        side="inbound",
        config="",
        route="inbound|9080||",
        tls="TLSv1.3",
        attempts=1,
        peer=SPIFFE + "reviews",
        upstream_peer="",
        cluster="inbound|9080||",
        start=started + 0.001,
        status=status,
    )
    fields: dict[str, Any] = {
        "id": f"{number:08x}",
        "caller": "default/reviews-v2-0",
        "outcome": Outcome.RESPONSE,
        "status": 200,
        "request": Request(url="http://ratings:9080/ratings/0"),
        "started": started,
        "latency": 0.004,
        "protocol": "HTTP/1.1",
        "backend": answer,
        "hops": (inbound, hop(start=started, status=status)),
    }
    return Exchange(**{**fields, **changed})


def traffic(number: int, *, seed: int = 1, failing: float = 0.0) -> list[Exchange]:
    """Exchanges with a little of everything."""
    rng = random.Random(seed)  # noqa: S311 - invents traffic, no secrets
    return [_any_exchange(rng, index, failing) for index in range(number)]


def _any_exchange(rng: random.Random, number: int, failing: float) -> Exchange:
    latency = rng.lognormvariate(-5.5, 0.5)
    if rng.random() < failing:
        return rng.choice((_spent, _spent, _denied, _timed_out, _reset))(number, latency)
    version = rng.choice(("ratings-v1", "ratings-v1", "ratings-v1", "ratings-v2"))
    answer = BackendReply(
        workload=version, namespace="default", pod=f"default/{version}-0", request=BackendRequest()
    )
    return exchange(number, latency=latency, backend=answer)


def _arrived(number: int, **changed: Any) -> Hop:
    """What the callee's sidecar tells."""
    fields = {
        "side": "inbound",
        "pod": "default/ratings-v1-0",
        "config": "",
        "tls": "TLSv1.3",
        "peer": SPIFFE + "reviews",
        "start": T0 + number / 100,
    }
    return hop(**{**fields, **changed})


def _denied(number: int, latency: float) -> Exchange:
    details = "rbac_access_denied_matched_policy[ns[default]-policy[deny-reviews]-rule[0]]"
    hops = (_arrived(number, status=403, details=details),)
    return exchange(number, status=403, latency=latency, backend=None, hops=hops)


def _spent(number: int, latency: float) -> Exchange:
    """Three attempts, each of which met a fault."""
    left = hop(start=T0 + number / 100, status=503, attempts=3, flags="URX", upstream_peer=SPIFFE + "ratings")
    met: dict[str, Any] = {"status": 503, "flags": "FI", "details": "fault_filter_abort", "faults": ("f1",)}
    begun = T0 + number / 100
    tries = (_arrived(number, attempt=one, start=begun + 0.001 * one, **met) for one in (1, 2, 3))
    return exchange(
        number, status=503, latency=latency * 9, backend=None, hops=(left, *tries), faults=("f1",)
    )


def _timed_out(number: int, latency: float) -> Exchange:
    return _lost(number, latency, Outcome.TIMEOUT)


def _reset(number: int, latency: float) -> Exchange:
    return _lost(number, latency, Outcome.RESET)


def _lost(number: int, latency: float, outcome: Outcome) -> Exchange:
    left = hop(
        start=T0 + number / 100, status=0, flags="DC", details="downstream_remote_disconnect",
        upstream_peer="",
    )  # fmt: skip
    return exchange(number, status=None, outcome=outcome, latency=latency + 1.0, backend=None, hops=(left,))


def scenario(name: str = "retry-mends-one-bad-attempt", **changed: Any) -> Result:
    """The result of a scenario that passed, unless told otherwise."""
    sent = changed.pop("sent", None) or traffic(20)
    table = pack(sent)
    fields: dict[str, Any] = {
        "id": f"suites/resilience/{name}.mesh.yaml::{name}",
        "name": name,
        "verdict": "pass",
        "file": f"suites/resilience/{name}.mesh.yaml",
        "line": 4,
        "seed": 42,
        "runtime": "netns",
        "start": T0 - 0.4,
        "description": "Whoever calls ratings does not notice one bad attempt.",
        "duration": 2.31,
        "labels": {"feature": "retries", "severity": "critical"},
        "timings": {"setup": 0.41, "policies": 0.12, "traffic": 1.71, "checks": 0.01},
        "checks": [
            check(
                {
                    "name": "successRate",
                    "verdict": "pass",
                    "reason": "20 of 20 answered, at least 100 % asked",
                    "observed": {"rate": 1.0, "n": 20},
                    "evidence": (),
                    "file": "x.mesh.yaml",
                    "line": 19,
                }
            )
        ],
        "policies": [
            {
                "ref": "VirtualService default/ratings",
                "file": f"suites/resilience/{name}.mesh.yaml",
                "line": 24,
                "yaml": VIRTUAL_SERVICE,
            }
        ],
        "exchanges": table,
        "decisions": decisions(unpack(table)),
    }
    return result(**{**fields, **changed})


def failed(name: str = "outlier-ejection-spares-callers", number: int = 400) -> Result:
    """A scenario with a fault, failing exchanges and evidence."""
    sent = traffic(number, seed=7, failing=0.12)
    bad = [one.id for one in sent if one.status == 503]
    return scenario(
        name,
        sent=sent,
        verdict="fail",
        reason=f"successRate: expected at least 99 %, saw {100 - 100 * len(bad) / number:.1f} % "
        f"({len(bad)} of {number} failed)",
        checks=_checks_of_failed(name, number, bad),
        faults=[
            fault(
                {
                    "id": "f1",
                    "kind": "abort 503",
                    "target": "default/ratings-v1",
                    "placement": "callee's inbound side",
                    "injected": T0 + number / 400,
                    "recovered": T0 + number / 160,
                    "hits": 3 * len(bad),
                    "marked": len(bad),
                }
            )
        ],
        messages=[
            {
                "level": "Warning",
                "code": "IST0104",
                "file": "policies/gateway.yaml",
                "line": 3,
                "text": "The gateway refers to a port that is not exposed on the workload (8443)",
            }
        ],
        failure=f"successRate: expected at least 99 %\n  {len(bad)} of {number} failed\n",
    )


def _checks_of_failed(name: str, number: int, bad: list[str]) -> list[dict[str, Any]]:
    """One check of each verdict."""
    told: list[dict[str, Any]] = [
        {
            "name": "successRate",
            "verdict": "fail",
            "reason": f"{len(bad)} of {number} requests failed; at most {number // 100} may",
            "observed": {"rate": 1 - len(bad) / number, "n": number, "window": "0 s to 4 s"},
            "evidence": bad[:4],
            "file": f"suites/resilience/{name}.mesh.yaml",
            "line": 31,
        },
        {
            "name": "attempts",
            "verdict": "pass",
            "reason": "at most 3 attempts were made, 3 are allowed",
            "observed": {"max": 3},
        },
        {
            "name": "recovers",
            "verdict": "unknown",
            "reason": "no exchange after the fault window",
            "observed": {},
        },
    ]
    return [dict(check(one)) for one in told]


def unknown(name: str = "kill-is-survived") -> Result:
    """A scenario whose fault nothing crossed."""
    return scenario(
        name,
        verdict="unknown",
        reason="no request crossed fault f1 (kill default/ratings-v2): nothing was tested",
        faults=[
            fault(
                {
                    "id": "f1",
                    "kind": "kill",
                    "target": "default/ratings-v2",
                    "placement": "workload",
                    "injected": T0 + 0.05,
                    "recovered": T0 + 0.1,
                    "hits": 0,
                    "marked": 0,
                }
            )
        ],
        checks=[
            check(
                {
                    "name": "successRate",
                    "verdict": "unknown",
                    "reason": "the fault was never met",
                    "observed": {},
                }
            )
        ],
    )


def many(number: int) -> list[Result]:
    """Results as a suite of some size has them."""
    makers = (failed, unknown, *(scenario,) * 8)
    return [makers[index % len(makers)](f"scenario-{index:02d}") for index in range(number)]


def facts(results: list[Result]) -> Run:
    """The facts of a run with these results."""
    return run(
        meshtest="0.1.0",
        envoy="1.40.0",
        istiod="1.31.0",
        runtime="netns",
        seed=42,
        start=T0 - 1,
        duration=9.7,
        workers=2,
        finished=True,
        counts=counts(results),
    )


def write(folder: Path, results: list[Result], *, rows: int = 1000) -> Path:
    """A rendered report of these results."""
    journal = Journal(directory=folder)
    for one in results:
        journal.write(one)
    journal.write_run(facts(results))
    return render(folder, rows=rows)


def sample() -> list[Result]:
    """What the sample page shows."""
    names = ("canary-takes-a-tenth", "timeout-cuts-a-slow-callee")
    return [failed(number=240), unknown(), scenario(), *map(scenario, names)]


if __name__ == "__main__":
    sys.stdout.write(f"{write(Path(sys.argv[1]), sample(), rows=30)}\n")
