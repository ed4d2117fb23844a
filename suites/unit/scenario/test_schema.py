# ruff: noqa: E501 - tables of one line per mistake read best unbroken
from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.errors import ScenarioError
from meshtest.mesh.yaml_source import documents
from meshtest.scenario import schema
from meshtest.scenario.expect import CHECKS
from meshtest.scenario.expect_answer import OUTCOMES
from meshtest.scenario.faults import FAULTS
from meshtest.scenario.tokens import KEYS
from meshtest.scenario.traffic import PROTOCOLS, RequestSpec
from meshtest.traffic.model import Outcome, Protocol, Request
from meshtest.traffic.tokens import SignedBy

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]
SHIPPED = sorted((ROOT / "suites").rglob("*.mesh.yaml"))


@pytest.fixture(scope="module")
def accepts() -> Callable[[Any], bool]:
    validators = pytest.importorskip("jsonschema")
    return validators.Draft7Validator(json.loads(schema.SHIPPED.read_text())).is_valid  # type: ignore[no-any-return]


def test_the_shipped_schema_is_the_one_that_the_loader_reads_with() -> None:
    assert schema.SHIPPED.read_text(encoding="utf-8") == schema.text(), (
        "run python -m meshtest.scenario.schema"
    )


def test_the_words_are_those_of_the_traffic_model() -> None:
    assert set(PROTOCOLS) == {protocol.value for protocol in Protocol}
    assert set(OUTCOMES) == {outcome.value for outcome in Outcome}
    assert set(KEYS) == {word.value for word in SignedBy}


def test_a_request_spec_has_the_attributes_of_a_request() -> None:
    own = {each.name for each in fields(RequestSpec)} - {
        "jwt"
    }  # which becomes a header, a parameter or a cookie
    assert own <= {each.name for each in fields(Request)}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_scenarios_fit_the_schema(accepts: Callable[[Any], bool], path: Path) -> None:
    assert all(accepts(each.value) for each in documents(path.read_text(encoding="utf-8"), str(path)))


def agree(files: Any, accepts: Callable[[Any], bool], text: str) -> bool:
    verdict = all(accepts(each.value) for each in documents(text, "s.mesh.yaml"))
    try:
        files.load(text)
    except ScenarioError:
        assert not verdict, "the schema accepts what the loader refuses"
        return False
    assert verdict, "the loader accepts what the schema refuses"
    return True


GOOD = {
    "status": ["200", "5xx", "{in: [200, 4xx], share: {atLeast: 50%}}", "{equals: 200}"],
    "successRate": ["100%", "{atLeast: 99%}", "{about: 30%, detect: 5%, falseAlarm: 1e-6}", "{exactly: 1, success: {status: 200}}"],
    "outcome": ["reset", "[reset, timeout]", "{in: [reset], share: 10%}"],
    "grpcStatus": ["14", "UNAVAILABLE", "{in: [OK]}"],
    "headers": ["{a: b}", "{a: {prefix: b}, c: {present: false}}"],
    "body": ["ok", "{contains: ok}"],
    "latency": ["{p99: {atMost: 1s}, min: {atLeast: 1ms}}"],
    "answeredBy": ["a", "[a, b]", "{shares: {a: 90%, b: 10}, detect: 5%}", "{in: a}"],
    "mirroredTo": ["a", "ns/a", "{to: a, share: {about: 20%}}", "{to: a, share: 0%}"],
    "sticky": ["{}", "{header: a, pods: {atLeast: 2}}"],
    "requestHeaders": ["{a: 1}"],
    "received": ["{path: /x, host: {prefix: a}}"],
    "call": ["{to: a, status: 200, times: 1}"],
    "attempts": ["1", "{atMost: 2, by: a}"],
    "mtls": ["true", "{peer: 'spiffe://a/ns/b/sa/c', to: x}"],
    "deniedBy": ["viewer", "{policy: viewer, rule: 1, at: a}"],
    "allowed": ["true", "{at: a}", "{}"],
    "accessLog": ["{at: a}", "{at: a, lines: 1, text: {contains: x}}"],
    "spans": ["2", "{exactly: 1, of: a, kind: client}", "{atLeast: 1, tags: {user: jason}}"],
    "routedBy": ["ratings"],
    "responseFlags": ["UO", "[UO, UF]", "{in: UO, share: {atMost: 5%}}"],
    "recovers": ["{within: 1s, success: {status: 200}}"],
    "shifts": ["{awayFrom: a, within: 1s, for: 5s}"],
    "returns": ["{to: [a], within: 1s}"],
    "hits": ["3", "{atLeast: 1, of: bad}"],
}  # fmt: skip
FAULT = "faults: [{name: bad, delay: {fixedDelay: 1s}, to: a}]"


def test_every_check_has_an_example() -> None:
    assert set(GOOD) == set(CHECKS)


@pytest.mark.parametrize(
    ("kind", "value"), [(kind, value) for kind, values in GOOD.items() for value in values]
)
def test_loader_and_schema_accept_the_same_checks(
    files: Any, accepts: Callable[[Any], bool], kind: str, value: str
) -> None:
    assert agree(files, accepts, files.text(FAULT, expect=f"expect: [{{{kind}: {value}}}]"))


@pytest.mark.parametrize("kind", sorted(CHECKS))
def test_both_refuse_unknown_keys_in_checks(files: Any, accepts: Callable[[Any], bool], kind: str) -> None:
    for item in (f"{kind}: {{nonsense: {{nonsense: 1}}}}", f"{kind}: {GOOD[kind][0]}, nonsense: 1"):
        assert not agree(files, accepts, files.text(FAULT, expect=f"expect: [{{{item}}}]"))


@pytest.mark.parametrize("kind", sorted(FAULTS))
def test_both_refuse_unknown_keys_in_faults(files: Any, accepts: Callable[[Any], bool], kind: str) -> None:
    assert not agree(files, accepts, files.text(f"faults: [{{{kind}: {{nonsense: 1}}, to: a}}]"))


@pytest.mark.parametrize(
    "part",
    [
        "trafic: {}",
        "seed: x",
        "traffic: {from: a, request: http://b/, requests: 0}",
        "traffic: {from: a, request: http://b/, nonsense: 0}",
        "traffic: {from: a, request: {url: http://b/, nonsense: 0}}",
        "traffic: {from: a, request: http://b/, rate: 5, for: 1s}",
        "faults: [{delay: {fixedDelay: 5}, to: a}]",
        "faults: [{delay: {fixedDelay: 5s}}]",
        "expect: []",
        "matrix: 3",
    ],
)
def test_both_refuse_the_same_mistakes(files: Any, accepts: Callable[[Any], bool], part: str) -> None:
    assert not agree(files, accepts, files.text(**{part.partition(":")[0]: part}))


def test_both_accept_a_matrix(files: Any, accepts: Callable[[Any], bool]) -> None:
    traffic = "traffic: {from: a, request: http://b/, requests: '${count}'}"
    assert agree(files, accepts, files.text("matrix: {count: [1, 2]}", traffic=traffic))


def test_manifests_beside_a_scenario_pass(accepts: Callable[[Any], bool]) -> None:
    assert accepts({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}})
