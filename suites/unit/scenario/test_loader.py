# ruff: noqa: E501 - tables of one line per mistake read best unbroken
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import meshtest.scenario
from meshtest.errors import ScenarioError
from meshtest.mesh.outside import OUTSIDE
from meshtest.scenario import load
from meshtest.scenario.bounds import Bounds, ShareBounds
from meshtest.scenario.expect_policy import Attempts, Mtls
from meshtest.scenario.faults import Abort, Delay, During, PathMatch, ResponseRate

DESIGN = """\
apiVersion: meshtest.dev/v1
kind: Scenario
metadata:
  name: retry-mends-one-bad-attempt
  labels: {feature: retries, severity: critical}
spec:
  description: Whoever calls ratings does not notice one bad attempt.
  manifests: [mesh.yaml]
  calls: {productpage: [details, reviews], reviews: [ratings]}
  traffic:
    from: reviews-v2
    request: {url: http://ratings:9080/ratings/0, headers: {end-user: jason}}
    requests: 200
  faults:
    - abort: {httpStatus: 503}
      to: ratings
      attempts: [1]
  expect:
    - successRate: {atLeast: 100%}
    - attempts: {atMost: 2}
    - mtls: {peer: spiffe://cluster.local/ns/default/sa/bookinfo-reviews}
    - recovers: {within: 1s}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ratings}
spec:
  hosts: [ratings]
"""


def test_public_surface() -> None:
    assert meshtest.scenario.__all__ == ["Scenario", "load", "resolve"]


def test_reads_the_example_of_the_design(files: Any) -> None:
    (scenario,) = files.load(DESIGN)
    assert scenario.name == "retry-mends-one-bad-attempt"
    assert scenario.labels == {"feature": "retries", "severity": "critical"}
    assert scenario.calls == {"productpage": ("details", "reviews"), "reviews": ("ratings",)}
    (traffic,) = scenario.traffic
    assert (traffic.sender, traffic.requests, traffic.name) == ("reviews-v2", 200, "traffic")
    assert traffic.request.headers == (("end-user", "jason"),)
    (fault,) = scenario.faults
    assert (fault.action, fault.to, fault.attempts, fault.name) == (
        Abort(http_status=503),
        ("ratings",),
        (1,),
        "abort",
    )
    assert scenario.expect[0].what.share == ShareBounds(at_least=1.0)
    assert scenario.expect[1].what == Attempts(bounds=Bounds(at_most=2))
    assert scenario.expect[2].what == Mtls(peer="spiffe://cluster.local/ns/default/sa/bookinfo-reviews")
    assert [check.location.line for check in scenario.expect] == [19, 20, 21, 22]
    (policy,) = scenario.policies
    assert (policy.ref.kind, policy.ref.namespace, policy.location.line) == ("VirtualService", "default", 24)
    assert scenario.manifests[0].paths == (files.folder / "mesh.yaml",)


def test_manifests_belong_to_the_scenario_before_them(files: Any) -> None:
    policy = "---\napiVersion: v1\nkind: Service\nmetadata: {name: a}\n"
    second = files.text().replace("retries", "second")
    one, other = files.load(f"{files.text()}{policy}---\n{second}{policy.replace('a}', 'b}')}")
    assert [policy.ref.name for policy in one.policies] == ["a"]
    assert [policy.ref.name for policy in other.policies] == ["b"]


def test_several_traffics_with_names(files: Any) -> None:
    traffic = """\
traffic:
  - {name: shoppers, from: outside, request: http://shop.example/, rate: 500/s, for: 2s}
  - {from: default/reviews-v2, request: "tcp://db:5432", requests: 3, concurrency: 2}"""
    one, other = files.one(traffic=traffic).traffic
    assert (one.sender, one.rate, one.lasts, one.total) == (OUTSIDE, 500, 2, 1000)
    assert (other.name, other.request.protocol, other.total, other.concurrency) == ("traffic-2", "tcp", 3, 2)


def test_every_key_of_a_request(files: Any) -> None:
    request = """\
traffic:
  from: a
  request:
    url: https://shop.example:8443/x
    method: POST
    headers: {a: [x, z], b: 1}
    body: hello
    protocol: h2
    host: other.example
    address: 10.0.0.1
    port: 443
    tls: {serverName: sni.example, alpn: [h2], identity: "spiffe://cluster.local/ns/a/sa/b", minVersion: TLSv1.2}
    timeout: 2s
    followRedirects: true
    messages: 3"""
    found = files.one(traffic=request).traffic[0].request
    assert found.headers == (("a", "x"), ("a", "z"), ("b", "1"))
    assert (found.body, found.protocol, found.timeout, found.tls.alpn) == (b"hello", "h2", 2.0, ("h2",))


def test_every_kind_of_fault(files: Any) -> None:
    faults = """\
faults:
  - abort: {grpcStatus: UNAVAILABLE}
    to: [ratings, default/details]
    from: reviews-v2
    percentage: {value: 30}
    match: {path: {prefix: /ratings}, method: GET, headers: {end-user: {exact: jason}}}
  - {delay: {fixedDelay: 2s}, to: ratings, during: {at: 1s, for: 500ms}, first: 10}
  - {name: slow, responseRate: {kibPerSecond: 64}, to: "*"}"""
    traffic = "traffic: {from: a, request: http://b/, rate: 5/s, for: 2s}"
    abort, delay, rate = files.one(faults=faults, traffic=traffic).faults
    assert abort.action == Abort(grpc_status=14)
    assert (abort.to, abort.sender, abort.percentage) == (
        ("ratings", "default/details"),
        ("reviews-v2",),
        30.0,
    )
    assert abort.match.path == PathMatch(prefix="/ratings")
    assert (delay.action, delay.during, delay.first) == (
        Delay(fixed_delay=2.0),
        During(at=1.0, lasts=0.5),
        10,
    )
    assert (rate.action, rate.name, rate.to) == (ResponseRate(kib_per_second=64), "slow", ("*",))


def test_globs_and_folders(files: Any) -> None:
    (files.folder / "policies").mkdir()
    (files.folder / "policies" / "a.yaml").touch()
    found = files.one(manifests="manifests: ['policies/*.yaml', policies]").manifests
    assert [[path.name for path in each.paths] for each in found] == [["a.yaml"], ["policies"]]


def test_inline_manifests_are_mesh_enough(files: Any) -> None:
    (scenario,) = files.load(
        files.text(manifests="") + "---\napiVersion: v1\nkind: Service\nmetadata: {name: a}\n"
    )
    assert scenario.manifests == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "s.mesh.yaml:1: the file is empty; expected a document with apiVersion: meshtest.dev/v1"),
        ("# only a comment\n", "the file is empty"),
        ("a: [1\n", "s.mesh.yaml:2: "),
        ("a: 1\na: 2\n", "s.mesh.yaml:2: a: duplicate key"),
        ("- 1\n", "s.mesh.yaml:1: a list stands where a mapping must"),
        ("apiVersion: v1\nkind: Service\n", "s.mesh.yaml:1: a manifest stands before the first scenario"),
        (
            "apiVersion: meshtest.dev/v2\nkind: Scenario\n",
            "unknown apiVersion 'meshtest.dev/v2'; expected meshtest.dev/v1",
        ),
        ("apiVersion: meshtest.dev/v1\nkind: Scenarios\n", "s.mesh.yaml:2: kind: unknown kind 'Scenarios'"),
        ("apiVersion: meshtest.dev/v1\nkind: Scenario\n", "misses 'spec'"),
    ],
)
def test_files_that_are_no_scenarios(files: Any, text: str, message: str) -> None:
    assert message in files.error_of(text)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(ScenarioError, match=r"gone\.mesh\.yaml:1: cannot be read"):
        load(Path("gone.mesh.yaml"))


def test_a_file_that_is_no_text(files: Any) -> None:
    path = files.folder / "b.mesh.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScenarioError, match="cannot be read"):
        load(path)


TRAFFIC = "traffic: {from: a, request: http://b/, %s}"
FAULT = "faults: [{%s}]"
EXPECT = "expect: [{%s}]"


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("trafic: {}", "s.mesh.yaml:8: spec.trafic: unknown key 'trafic'"),
        ("trafic: {}", "did you mean 'traffic'?"),
        ("seed: -1", "spec.seed: -1 is out of range; expected a seed of at least 0"),
        ("seed: yes", "spec.seed: true is not a whole number"),
        ("description: 3", "spec.description: 3 is not a string"),
        ("meshConfig: []", "spec.meshConfig: a list stands where a mapping must; expected Istio's MeshConfig"),
        ("calls: {a: 1}", "spec.calls.a: 1 is not a string"),
        ("commands: {default/a: /bin/x}", "spec.commands[default/a]: '/bin/x' stands where a list must"),
        ("manifests: [gone.yaml]", "spec.manifests[0]: nothing stands at 'gone.yaml'"),
        ("manifests: ['*.yml']", "spec.manifests[0]: nothing stands at '*.yml'"),
        (TRAFFIC % "requests: 0", "s.mesh.yaml:6: spec.traffic.requests: 0 is out of range"),
        (TRAFFIC % "requests: 3, rate: 5/s, for: 1s", "requests and rate both stand here"),
        (TRAFFIC % "rate: 5/s", "spec.traffic.rate: rate stands without for"),
        (TRAFFIC % "for: 5s", "spec.traffic.for: for stands without rate"),
        (TRAFFIC % "rate: 5", "spec.traffic.rate: 5 is not a rate; expected a rate such as 500/s"),
        (TRAFFIC % "rate: 5/s, for: 5", "spec.traffic.for: 5 is not a duration; expected a duration such as 250ms"),
        (TRAFFIC % "rate: 5/s, for: 0s", "a duration of nothing"),
        (TRAFFIC % "concurrency: 0", "0 is out of range"),
        ("traffic: {from: a}", "spec.traffic: misses 'request'"),
        ("traffic: {request: http://b/}", "spec.traffic: misses 'from'"),
        ("traffic: []", "spec.traffic: the list is empty"),
        ("traffic: {from: a, request: ratings:9080}", "'ratings:9080' has no scheme"),
        ("traffic: {from: a, request: 'http:///x'}", "'http:///x' has no host"),
        ("traffic: {from: a, request: 'ftp://x'}", "unknown scheme 'ftp'"),
        ("traffic: {from: a, request: 'tcp://x'}", "'tcp://x' has no port"),
        ("traffic: {from: a, request: 'http://x:99999'}", "Port out of range"),
        ("traffic: {from: a, request: {url: 'http://x', method: get}}", "'get' is no HTTP method"),
        ("traffic: {from: a, request: {url: 'http://x', protocol: htp}}", "did you mean 'http'?"),
        ("traffic: {from: a, request: {url: 'http://x', timeout: -1s}}", "'-1s' is not a duration"),
        ("traffic: [{name: x, from: a, request: 'http://x'}, {name: x, from: a, request: 'http://x'}]", "'x' is the name"),
        ("traffic: [{name: recovery, from: a, request: 'http://x'}]", "a name that meshtest uses itself"),
        (FAULT % "abort: {httpStatus: 503}", "spec.faults[0]: misses 'to'"),
        (FAULT % "to: a", "spec.faults[0]: no kind of fault stands here; expected abort, "),
        (FAULT % "abrt: {httpStatus: 503}, to: a", "unknown kind of fault 'abrt'"),
        (FAULT % "abrt: {httpStatus: 503}, to: a", "did you mean 'abort'?"),
        (FAULT % "abort: {httpStatus: 503}, delay: {fixedDelay: 1s}, to: a", "abort and delay stand in one item"),
        (FAULT % "abort: {httpStatus: 99}, to: a", "99 is out of range; expected an HTTP status from 200 to 599"),
        (FAULT % "abort: {httpStatus: 503, grpcStatus: 14}, to: a", "both stand here"),
        (FAULT % "abort: {grpcStatus: UNAVAILBLE}, to: a", "did you mean 'UNAVAILABLE'?"),
        (FAULT % "abort: {}, to: a", "spec.faults[0].abort: the mapping is empty"),
        (FAULT % "delay: {fixedDelay: 0s}, to: a", "a duration of nothing"),
        (FAULT % "delay: {fixedDelay: 1}, to: a", "1 is not a duration"),
        (FAULT % "responseRate: {kibPerSecond: 0}, to: a", "0 is out of range"),
        (FAULT % "delay: {fixedDelay: 1s}, to: a, percentage: 101%", "101% is not between 0% and 100%"),
        (FAULT % "delay: {fixedDelay: 1s}, to: a, percentage: half", "'half' is not a percentage"),
        (FAULT % "delay: {fixedDelay: 1s}, to: a, percentage: 0", "0% meets no request"),
        (FAULT % "delay: {fixedDelay: 1s}, to: a, attempts: [0]", "spec.faults[0].attempts[0]: 0 is out of range"),
        (FAULT % "delay: {fixedDelay: 1s}, to: a, match: {path: {exact: x}}", "'x' does not begin with '/'"),
        (FAULT % "delay: {fixedDelay: 1s}, to: a, match: {path: {exact: /, prefix: /}}", "exact and prefix both"),
        ("faults: [{name: a, delay: {fixedDelay: 1s}, to: a}, {name: a, delay: {fixedDelay: 1s}, to: a}]", "another fault"),
        (EXPECT % "sucessRate: {atLeast: 1%}", "s.mesh.yaml:7: spec.expect[0].sucessRate: unknown check 'sucessRate'"),
        (EXPECT % "sucessRate: {atLeast: 1%}", "did you mean 'successRate'?"),
        ("expect: []", "spec.expect: the list is empty"),
        ("expect: [successRate]", "'successRate' stands without its value"),
        (EXPECT % "status: 200, mtls: true", "status and mtls stand in one item; expected one check per list item"),
        (EXPECT % "status: 99", "99 is no HTTP status"),
        (EXPECT % "status: {share: 10%}", "neither equals nor in stands here"),
        (EXPECT % "status: {equals: 200, in: [200]}", "equals and in both stand here"),
        (EXPECT % "successRate: {atLeast: 99%, atMost: 90%}", "atLeast is above atMost"),
        (EXPECT % "successRate: {atLeast: 99%, exactly: 90%}", "exactly stands beside atLeast or atMost"),
        (EXPECT % "successRate: {about: 99%, exactly: 90%}", "about stands beside a fixed limit"),
        (EXPECT % "successRate: {atLeast: 99%, detect: 1%}", "detect stands without about"),
        (EXPECT % "successRate: {about: 9%, detect: 0%}", "needs endless requests"),
        (EXPECT % "successRate: {about: 9%, falseAlarm: 2}", "2 is no probability"),
        (EXPECT % "successRate: {success: {status: 200}}", "no limit"),
        (EXPECT % "attempts: {by: a}", "no limit; expected atLeast, atMost or exactly"),
        (EXPECT % "attempts: {atMost: 1, atLeast: 2}", "atLeast is above atMost"),
        (EXPECT % "answeredBy: {shares: {a: 50%, b: 40%}}", "the shares add up to 90%"),
        (EXPECT % "answeredBy: {in: [a], shares: {a: 100%}}", "either shares or in"),
        (EXPECT % "answeredBy: {in: [a], detect: 5%}", "detect needs shares"),
        (EXPECT % "latency: {p98: {atMost: 1s}}", "unknown key 'p98'"),
        (EXPECT % "latency: {p99: {atMost: 1}}", "1 is not a duration"),
        (EXPECT % "mtls: {peer: admin}", "'admin' is no SPIFFE identity"),
        (EXPECT % "mtls: yess", "'yess' is neither true nor false"),
        (EXPECT % "allowed: false", "false says nothing about who denies; expected deniedBy instead"),
        (EXPECT % "headers: {a: {regex: '('}}", "does not compile"),
        (EXPECT % "headers: {a: {present: true, exact: b}}", "present stands beside a text"),
        (EXPECT % "call: {to: a}", "nothing is expected of the call"),
        (EXPECT % "outcome: rest", "did you mean 'reset'?"),
        (EXPECT % "recovers: {}", "misses 'within'"),
        (EXPECT % "recovers: {within: 1s}", "this is about faults, but the scenario has none"),
        (EXPECT % "status: 200, where: {fault: hit}", "the scenario has none"),
        (EXPECT % "status: 200, where: {fault: hot}", "did you mean 'hit'?"),
        (EXPECT % "status: 200, where: {after: 2s, before: 1s}", "nothing lies between after and before"),
        (EXPECT % "status: 200, traffic: shoppers", "unknown traffic 'shoppers'; expected traffic"),
        ("expect: [{name: a, status: 200}, {name: a, status: 200}]", "the name of another check"),
        ("expectFailure: {check: statis, because: x}", "expected always: identities or status; did you mean 'status'?"),
        ("expectFailure: {check: status}", "misses 'because'"),
        ("expectFailure: {check: status, because: '('}", "does not compile"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_file_line_key_and_what_was_expected(
    files: Any, part: str, message: str
) -> None:
    found = files.error(**{part.partition(":")[0]: part})
    assert message in found
    assert found.startswith("s.mesh.yaml:")


@pytest.mark.parametrize(
    ("more", "key"), [("traffic: traffic", "traffic"), ("where: {status: 200}", "where")]
)
def test_hits_are_of_no_chosen_requests(files: Any, more: str, key: str) -> None:
    faults = "faults: [{abort: {httpStatus: 503}, to: ratings}]"
    found = files.error(faults=faults, expect=f"expect: [{{hits: 3, {more}}}]")
    assert f"spec.expect[0].{key}: hits are all that the faults touched; expected of: and the name" in found


@pytest.mark.parametrize(
    "name", ["Retries", "re tries", "-a", "a_b", "x" * 64, "a[b]", "3.5"], ids=lambda name: name[:9]
)
def test_names_are_slugs(files: Any, name: str) -> None:
    found = files.error_of(files.text().replace("name: retries", f"name: '{name}'"))
    assert found.startswith(
        f"s.mesh.yaml:3: metadata.name: {name!r} is no name of a scenario; expected lower-case"
    )


def test_two_scenarios_of_one_name(files: Any) -> None:
    found = files.error_of(f"{files.text()}---\n{files.text()}")
    assert "s.mesh.yaml:11: metadata.name: a second scenario is called 'retries'" in found


def test_a_scenario_without_mesh(files: Any) -> None:
    assert "spec: no mesh to test; expected manifests" in files.error(manifests="")


def test_broken_manifests_beside_a_scenario(files: Any) -> None:
    assert "s.mesh.yaml:9: kind: missing" in files.error_of(
        files.text() + "---\napiVersion: v1\nmetadata: {name: a}\n"
    )


def test_unknown_keys_beside_spec(files: Any) -> None:
    assert "s.mesh.yaml:8: specs: unknown key 'specs'" in files.error_of(files.text() + "specs: 1\n")


def test_the_failure_that_is_expected_must_be_one_check(files: Any) -> None:
    found = files.error(
        "expectFailure: {check: status, because: x}", expect="expect: [{status: 200}, {status: 2xx}]"
    )
    assert "several checks are called 'status'; expected a name for each" in found
    named = "expect: [{name: all, status: 200}, {status: 2xx}]"
    assert files.one("expectFailure: {check: all, because: x}", expect=named).expect_failure.check == "all"


def test_a_fault_after_the_traffics_end(files: Any) -> None:
    found = files.error(
        traffic="traffic: {from: a, request: http://b/, rate: 5/s, for: 2s}",
        faults="faults: [{delay: {fixedDelay: 1s}, to: a, during: {at: 3s}}]",
    )
    assert "the fault comes at 3s, but the traffic ends at 2s" in found


def test_faults_without_names_get_some(files: Any) -> None:
    fault = "{responseRate: {kibPerSecond: 1}, to: a}"
    assert [each.name for each in files.one(faults=f"faults: [{fault}, {fault}]").faults] == [
        "response-rate",
        "response-rate-2",
    ]
