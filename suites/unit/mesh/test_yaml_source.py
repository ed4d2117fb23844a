from __future__ import annotations

from typing import Any

import pytest

from meshtest.errors import ManifestError
from meshtest.mesh.yaml_lines import lines_below
from meshtest.mesh.yaml_source import documents


def only(text: str) -> Any:
    (document,) = documents(text, "a.yaml")
    return document.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        ("off", False),
        ("y", True),
        ("'yes'", "yes"),
        ("!!str yes", "yes"),
        ("~", None),
        ("", None),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ("010", 8),
        ("0o17", 15),
        ("08", 8),
        ("0x1F", 31),
        ("-0b11", -3),
        ("1_000", 1000),
        ("1e3", 1000),
        ("1.0", 1),
        ("1.5", 1.5),
        ("+.5", 0.5),
        ("1.10.2", "1.10.2"),
        ("-", "-"),
        ("!!binary aGFsbG8=", "hallo"),
        ("!!float 1", 1),
        ("{a: 1, 2: b}", {"a": 1, "2": "b"}),
    ],
)
def test_scalars_mean_what_they_mean_to_kubernetes(text: str, value: object) -> None:
    if text == "-":
        text = "'-'"
    found = only(f"key: {text}\n")["key"]
    assert found == value
    assert type(found) is type(value)


def test_keys_become_strings() -> None:
    assert only("{1: a, on: b, 1.5: c}") == {"1": "a", "true": "b", "1.5": "c"}


def test_every_document_knows_its_lines() -> None:
    first, second = documents("# note\na: 1\n---\n# none\n---\nb:\n- c: 2\n  d.e/f: 3\n", "dir/a.yaml")
    assert str(first.location) == "dir/a.yaml:2"
    assert dict(second.lines) == {"": 6, "b": 6, "b[0]": 7, "b[0].c": 7, "b[0][d.e/f]": 8}


def test_lines_count_from_where_the_text_begins() -> None:
    (document,) = documents("a: 1\nb: 2\n", "t.py", first_line=40)
    assert document.lines["b"] == 41
    assert str(document.location) == "t.py:40"


@pytest.mark.parametrize(
    ("path", "line"),
    [("a.b", 2), ("a.b[0].x.y", 3), ("a.b[7]", 2), ("nothing.here", 1), ("", 1), ("a[q.r/s]", 1)],
)
def test_a_path_that_is_not_written_is_found_at_its_parent(path: str, line: int) -> None:
    (document,) = documents("a:\n  b:\n  - x: 1\n", "a.yaml")
    assert document.at(path).line == line


def test_json_is_read_with_tabs_and_escapes() -> None:
    assert only('{\n\t"a": "x\\/y",\n\t"b": [true, null, 1e2]\n}\n') == {"a": "x/y", "b": [True, None, 100]}


def test_merge_keys_give_way_to_own_keys_and_keep_their_lines() -> None:
    (document,) = documents("base: &base\n  a: 1\n  b: 2\nuse:\n  <<: *base\n  b: 3\n", "a.yaml")
    assert document.value["use"] == {"a": 1, "b": 3}
    assert (document.lines["use.a"], document.lines["use.b"]) == (2, 6)


def test_earlier_merged_mappings_win() -> None:
    assert only("{<<: [{a: 1}, {a: 2, b: 3}]}") == {"a": 1, "b": 3}


@pytest.mark.parametrize("text", ["", "\n\n", "# only this\n", "---\n---\n", "null\n"])
def test_nothing_is_no_document(text: str) -> None:
    assert documents(text, "a.yaml") == []


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\na: 2\n", 2, "a: duplicate key; the first stands on line 1"),
        ("spec: {x.y: 1, x.y: 2}\n", 1, "spec[x.y]: duplicate key"),
        ("a:\n\t- b\n", 2, "a tab indents this line"),
        ("a: b: c\n", 1, "needs quotes"),
        ("a: 'x\nb: 1\n", 1, "ends inside quotes"),
        ("a: [1,\n2\nb: 2\n", 3, '"[" is not closed'),
        ("a: *there\n", 1, "no anchor"),
        ("a: @home\n", 1, "quote the value"),
        ("a: 1\nkey\n", 2, 'no ":" after it'),
        ("ok: 1\n---\na: {{ .Values.port }}\n", 3, "template that was not rendered"),
        ("ok: 1\n{{- if .Values.x }}\n", 2, "template"),
        ("a: .inf\n", 1, "a: .inf is not a number"),
        ("a: &a [*a]\n", 1, "inside its own anchor"),
        ("a: \x01\n", 1, "control character"),
        ("~: 1\n", 1, "an empty key"),
        ("a: !!int x\n", 1, "is not a !!int"),
        ("<<: 3\n", 1, "can be merged"),
    ],
)
def test_broken_yaml_is_told_in_plain_words(text: str, line: int, words: str) -> None:
    with pytest.raises(ManifestError) as caught:
        documents(text, "a.yaml")
    assert str(caught.value).startswith(f"a.yaml:{line}: ")
    assert words in str(caught.value)


def test_the_lines_of_a_part_have_their_own_paths() -> None:
    (document,) = documents("items:\n- kind: A\n  spec: {a: 1}\n", "a.yaml")
    below = lines_below(document.lines, "items[0]")
    assert dict(below) == {"": 2, "kind": 2, "spec": 3, "spec.a": 3}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[10.0.0.1, 2001:db8::]", ["10.0.0.1", "2001:db8::"]),
        ("[fe80::,2001:db8::]", ["fe80::", "2001:db8::"]),
        ("{a: 2001:db8::, b: [x:, 'y:']}", {"a": "2001:db8::", "b": ["x:", "y:"]}),
        ("a: 1\nb: [ä, fe80::]\n", {"a": 1, "b": ["ä", "fe80::"]}),
    ],
)
def test_a_colon_at_the_end_of_a_plain_scalar_is_a_part_of_it_as_for_go(text: str, value: object) -> None:
    (document,) = documents(text, "a.yaml")
    assert document.value == value


@pytest.mark.parametrize("text", ["[a: b: c]", "{a: b: c}", '[::"]', "[a, fe80::\n"])
def test_other_colons_that_go_does_not_read_are_errors(text: str) -> None:
    with pytest.raises(ManifestError, match=r"^a.yaml:1: broken YAML|^a.yaml:2: broken YAML"):
        documents(text, "a.yaml")
