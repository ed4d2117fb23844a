"""Python's faults are judged by the reader of scenarios: the same value, and the same mistakes with their line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from meshtest import faults
from meshtest.errors import ScenarioError
from meshtest.faults.writing import shared_keys, written
from meshtest.scenario.bounds import TextMatch
from meshtest.scenario.faults import FaultMatch, PathMatch

MADE: list[tuple[Any, Any]] = [
    (faults.abort(to="a", http_status=404), {"httpStatus": 404}),
    (faults.delay(to="a", fixed_delay=0.05), {"fixedDelay": "0.05s"}),
    (faults.response_rate(to="a", kib_per_second=3), {"kibPerSecond": 3}),
    (faults.latency(to="a", latency=0.1, stream="both"), {"latency": "0.1s", "stream": "both"}),
    (faults.timeout(to="a"), {}),
    (faults.down(to="a"), {}),
    (faults.slicer(to="a", average_size=9, delay=0.00001), {"averageSize": 9, "delay": "0.00001s"}),
    (faults.loss(to="a", percentage=30, direction="egress"), {"percentage": 30, "direction": "egress"}),
    (faults.partition("a", one_way=True), {"oneWay": True}),
    (faults.kill(to="a", part="sidecar", replicas=2), {"part": "sidecar", "replicas": 2}),
    (faults.limits(to="a", memory="64Mi"), {"memory": "64Mi"}),
    (faults.dns(to="a", address="10.0.0.9"), {"address": ["10.0.0.9"]}),
    (faults.certificate(to="a", expired=True), "expired"),
    (
        faults.certificate(to="a", identity="spiffe://a.b/ns/c/sa/d"),
        {"wrongIdentity": "spiffe://a.b/ns/c/sa/d"},
    ),
    (faults.rotation(to="a", every=2, lifetime=60), {"every": "2s", "lifetime": "60s"}),
    (faults.tls(to="a", cipher_suites=["AES128-SHA"]), {"cipherSuites": ["AES128-SHA"]}),
    (faults.control_plane_paused(), "paused"),
    (faults.slow_push(delay=1), {"delay": "1s"}),
    (faults.secrets_withheld(), {}),
]


@pytest.mark.parametrize(("spec", "value"), MADE, ids=[spec.kind for spec, _ in MADE])
def test_a_fault_is_written_as_a_scenario_would(spec: Any, value: Any) -> None:
    assert written(spec.action) == value


def test_what_all_constructors_share() -> None:
    made = faults.abort(
        to=("a", "b"), from_="c", percentage=10, attempts=(1, 2), first=3, path="/x", method="GET",
        headers={"k": "v", "p": TextMatch(prefix="q")}, during=(1, None), name="one",
    )  # fmt: skip
    assert (made.to, made.sender, made.percentage, made.attempts) == (("a", "b"), ("c",), 10.0, (1, 2))
    match = FaultMatch(
        path=PathMatch(exact="/x"),
        method="GET",
        headers={"k": TextMatch(exact="v"), "p": TextMatch(prefix="q")},
    )
    assert (made.first, made.match, made.name) == (3, match, "one")
    assert made.during is not None
    assert (made.during.at, made.during.lasts) == (1.0, None)
    assert shared_keys({"to": "a", "until": 5}) == {"to": "a", "until": {"requests": 5}}


def test_durations_may_be_written_as_in_scenarios() -> None:
    made = faults.delay(to="a", fixed_delay="50ms", during=("1s", "2s"))  # type: ignore[arg-type]  # as YAML
    wanted = faults.delay(to="a", fixed_delay=0.05, during=(1, 2))
    assert made == replace(wanted, location=made.location)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: faults.abort(to="a", http_status=99), "abort.http_status: 99 is out of range"),
        (lambda: faults.abort(to="a", grpc_status=77), "abort.grpc_status: unknown gRPC status '77'"),
        (lambda: faults.abort(to="a", attempts=[0]), "attempts[0]: 0 is out of range"),
        (lambda: faults.abort(to="a", first=0), "first: 0 is out of range"),
        (lambda: faults.abort(to="a", path="x"), "match.path: 'x' does not begin with '/'"),
        (lambda: faults.abort(to=[]), "to: the list is empty"),
        (lambda: faults.abort(to="a", name="My fault"), "name: 'My fault' is no name of a fault"),
        (lambda: faults.delay(to="a", fixed_delay=-1), "delay.fixed_delay: '-1s' is not a duration"),
        (lambda: faults.response_rate(to="a", kib_per_second=0), "response_rate.kib_per_second: 0 is"),
        (lambda: faults.latency(to="a", latency=0.0001), "latency.latency: 0.0001s is not a whole number"),
        (lambda: faults.bandwidth(to="a", rate=0), "bandwidth.rate: 0 is out of range"),
        (lambda: faults.limit_data(to="a", limit=-1), "limit_data.limit: -1 is out of range"),
        (lambda: faults.slicer(to="a", average_size=5, size_variation=5), "slicer.size_variation: 5 is"),
        (lambda: faults.loss(to="a", percentage=101), "loss.percentage: 101 is not between"),
        (lambda: faults.kill(to="a", replicas=1, share=50), "kill: replicas and share both stand here"),
        (lambda: faults.kill(to="a", from_="b"), "from_: kill hits a workload whoever calls it"),
        (lambda: faults.limits(to="a"), "limits: the mapping is empty"),
        (lambda: faults.dns(to="a", address="x"), "dns.address[0]: 'x' is no IPv4 address"),
        (lambda: faults.certificate(to="a"), "certificate: no flaw given"),
        (lambda: faults.certificate(to="a", identity="bob"), "certificate.identity: 'bob' is none"),
        (lambda: faults.rotation(to="a", every=0), "rotation.every: a duration of nothing"),
        (lambda: faults.tls(to="a", max_version="SSLv3"), "tls.max_version: unknown version of TLS 'SSLv3'"),
        (lambda: faults.slow_push(delay=0), "slow_push.delay: a duration of nothing"),
        (lambda: faults.kill(to="a", during=5), "during: 5 stands where a mapping must"),
    ],
    ids=lambda value: value.partition(":")[0] if isinstance(value, str) else "",
)
def test_a_mistake_is_told_with_its_line_and_argument(make: Any, said: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        make()
    place, _, rest = str(caught.value).partition(": ")
    assert place.rpartition(":")[0] == __file__
    assert rest.startswith(said)
