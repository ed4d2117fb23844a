from __future__ import annotations

from typing import Any

import pytest


def test_a_matrix_makes_a_scenario_of_every_combination(files: Any) -> None:
    text = files.text(
        "matrix: {region: [eu, us], version: [v1, v2]}", expect="expect: [answeredBy: 'a-${version}']"
    )
    found = files.load(text)
    assert [each.name for each in found] == [
        "retries[eu-v1]",
        "retries[eu-v2]",
        "retries[us-v1]",
        "retries[us-v2]",
    ]
    assert [each.expect[0].what.workloads for each in found] == [("a-v1",), ("a-v2",), ("a-v1",), ("a-v2",)]
    assert found[1].matrix == {"region": "eu", "version": "v2"}


def test_whole_values_keep_their_type(files: Any) -> None:
    text = files.text(
        "matrix: {count: [1, 5]}", traffic="traffic: {from: a, request: http://b/, requests: '${count}'}"
    )
    assert [each.traffic[0].requests for each in files.load(text)] == [1, 5]


def test_a_list_of_combinations_with_names(files: Any) -> None:
    matrix = "matrix: [{name: good, code: 200}, {name: bad, code: [500, 503]}]"
    found = files.load(files.text(matrix, expect="expect: [{status: '${code}'}]"))
    assert [(each.name, each.expect[0].what.statuses.words) for each in found] == [
        ("retries[good]", ("200",)),
        ("retries[bad]", ("500", "503")),
    ]


def test_the_policies_beside_it_vary_too_and_other_dollars_stay(files: Any) -> None:
    policy = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: 'x-${v}'}\n"
    policy += "data: {a: '${other}', b: '$${v}'}\n"
    one, _ = files.load(files.text("matrix: {v: [a, b]}") + policy)
    assert one.policies[0].ref.name == "x-a"
    assert one.policies[0].body["data"] == {"a": "${other}", "b": "${v}"}


def test_without_matrix_manifests_are_verbatim(files: Any) -> None:
    policy = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {a: '$${v}'}\n"
    (one,) = files.load(files.text() + policy)
    assert one.policies[0].body["data"] == {"a": "$${v}"}


def test_values_that_look_alike_get_numbers(files: Any) -> None:
    found = files.load(files.text("matrix: {p: [/a, a]}"))
    assert [each.name for each in found] == ["retries[a]", "retries[a-2]"]


def test_lines_are_those_of_the_one_document(files: Any) -> None:
    found = files.load(files.text("matrix: {v: [1, 2]}"))
    assert {each.expect[0].location.line for each in found} == {7}


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ("matrix: {}", "spec.matrix: a mapping is no matrix"),
        ("matrix: 3", "spec.matrix: 3 is no matrix"),
        ("matrix: {a: 3}", "spec.matrix.a: 3 is no list of values"),
        ("matrix: {a: []}", "spec.matrix.a: a list is no list of values"),
        ("matrix: [3]", "spec.matrix[0]: 3 is no combination"),
        ("matrix: {y: [1]}", "the name of this variable is a boolean in YAML"),
        ("matrix: {a-b: [1]}", "'a-b' is no name of a variable"),
    ],
)
def test_what_is_no_matrix(files: Any, matrix: str, message: str) -> None:
    assert message in files.error(matrix)


def test_an_unknown_variable(files: Any) -> None:
    found = files.error("matrix: {region: [eu]}", "description: in ${regin}")
    assert "s.mesh.yaml:9: spec.description: unknown variable 'regin'" in found
    assert "did you mean 'region'?" in found
    assert "a matrix that sets it" in files.error("description: in ${regin}")


def test_a_dollar_can_be_meant(files: Any) -> None:
    assert files.one("description: costs $${x}").description == "costs ${x}"
