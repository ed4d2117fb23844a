from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshtest.checks import Verdict, render, requests_for
from meshtest.checks.run import judge_scenario
from meshtest.checks.text import source, summary
from meshtest.errors import Location
from meshtest.scenario import load

if TYPE_CHECKING:
    from pathlib import Path

SCENARIO = """\
apiVersion: meshtest.dev/v1
kind: Scenario
metadata: {name: retries}
spec:
  manifests: [.]
  traffic:
    from: reviews-v2
    request: http://ratings:9080/ratings/0
  expect:
    - status: 200
    - attempts: {atMost: 2}
"""


def test_failure_text_is_verdict_then_evidence_then_source(make: Any, tmp_path: Path) -> None:
    file = tmp_path / "r.mesh.yaml"
    file.write_text(SCENARIO)
    (scenario,) = load(file)
    hops = (make.hop(attempts=5), make.inbound(faults=("abort",), status=503, details="fault_filter_abort"))
    history = make.history(make.many(28) + make.many(12, hops=hops))
    lines = render(judge_scenario(scenario, history, make.facts), scenario, history).splitlines()
    assert lines[0] == "attempts: expected ≤ 2 attempts, saw 5 attempts in 12 of 40 requests"
    assert lines[1] == "(2 other checks passed)"
    assert lines[3] == "exchange x28: default/reviews-v2-0 GET http://ratings:9080/ratings/0"
    assert any("inbound  default/ratings-v1-0  503  fault_filter_abort  attempt 1" in line for line in lines)
    assert any(line == ">" + f" {11} |     - attempts: {{atMost: 2}}" for line in lines)
    assert lines[-1] == "seed 7, 40 exchanges, scenario retries"


def test_unknown_says_so(make: Any, tmp_path: Path) -> None:
    file = tmp_path / "r.mesh.yaml"
    file.write_text(SCENARIO)
    (scenario,) = load(file)
    results = judge_scenario(scenario, make.history([]), make.facts)
    assert {result.verdict for result in results} == {Verdict.UNKNOWN}
    assert summary(results) == "status: no request to judge (unknown)"


def test_source_of_a_file_that_is_gone_is_its_place() -> None:
    assert source(Location(file="gone.yaml", line=3)) == ["gone.yaml:3"]


def test_meshtest_picks_the_number_of_requests_that_the_checks_need(tmp_path: Path) -> None:
    file = tmp_path / "r.mesh.yaml"
    file.write_text(
        SCENARIO + "    - answeredBy: {shares: {ratings-v1: 80%, ratings-v2: 20%}, detect: 20%}\n"
    )
    (scenario,) = load(file)
    assert 100 < requests_for(scenario, scenario.traffic[0]) < 400
    file.write_text(SCENARIO + "    - latency: {p99: {atMost: 1s}}\n")
    (scenario,) = load(file)
    assert requests_for(scenario, scenario.traffic[0]) == 100
    file.write_text(SCENARIO)
    (scenario,) = load(file)
    assert requests_for(scenario, scenario.traffic[0]) == 1
