from __future__ import annotations

from pathlib import Path

from meshtest.cli.findings import Finding, of_error, sarif, tidy
from meshtest.errors import Location, ManifestError, ScenarioError

UNKNOWN = Finding(
    level="error",
    code="unknown-field",
    message="unknown field",
    file="a b.yaml",
    line=7,
    object="VirtualService default/web",
    path="spec.htp",
    fix="http",
)


def test_a_finding_reads_as_editors_expect() -> None:
    assert str(UNKNOWN) == (
        "a b.yaml:7: error [unknown-field]: VirtualService default/web: spec.htp: unknown field; did you mean 'http'?"
    )


def test_an_error_keeps_place_key_and_guess() -> None:
    error = ScenarioError(
        "unknown key",
        location=Location(file="x.yaml", line=3),
        key="spec.trafic",
        expected="traffic",
        nearest="traffic",
    )
    (found,) = of_error(error)
    assert (found.file, found.line, found.path, found.fix) == ("x.yaml", 3, "spec.trafic", "traffic")
    assert found.message == "unknown key; expected traffic"
    assert found.code == "scenario"


def test_an_error_that_tells_of_several_becomes_several() -> None:
    error = ManifestError(
        "first\nx.yaml:9: second\n  and more of it", location=Location(file="x.yaml", line=3)
    )
    assert [(one.line, one.message, one.code) for one in of_error(error)] == [
        (3, "first", "manifest"),
        (9, "second and more of it", "manifest"),
    ]


def test_an_error_without_a_place_stays_without() -> None:
    (found,) = of_error(ManifestError("no such file or folder: x"))
    assert str(found) == "error [manifest]: no such file or folder: x"


def test_the_same_said_twice_is_told_once() -> None:
    first = Finding(level="warning", code="admission", message="rule #1 not used", file="a", line=2)
    again = Finding(
        level="warning",
        code="IST0133",
        message="Schema validation warning: Rule #1 not used.",
        file="a",
        line=2,
    )
    assert tidy([first, again]) == [first]


def test_findings_of_one_line_about_different_fields_are_both_told() -> None:
    other = Finding(**{**UNKNOWN.to_dict(), "path": "spec.hots"})
    assert len(tidy([UNKNOWN, other])) == 2


def test_findings_stand_in_the_order_of_the_file() -> None:
    early = Finding(level="info", code="x", message="m", file="a b.yaml", line=1)
    assert tidy([UNKNOWN, early]) == [early, UNKNOWN]


def test_sarif_has_what_the_standard_requires() -> None:
    log = sarif([UNKNOWN], "1.0")
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert run["tool"]["driver"]["name"] == "meshtest"
    (result,) = run["results"]
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "unknown-field"
    assert result["level"] == "error"
    place = result["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "a%20b.yaml"}, "region": {"startLine": 7}}


def test_sarif_of_standard_input_has_no_place() -> None:
    (result,) = sarif([Finding(level="info", code="x", message="m", file="<stdin>", line=1)], "1.0")["runs"][
        0
    ]["results"]
    assert "locations" not in result
    assert result["level"] == "note"


def test_sarif_of_an_absolute_path_is_a_uri() -> None:
    one = Finding(level="error", code="x", message="m", file="/srv/a.yaml", line=1)
    (result,) = sarif([one], "1.0")["runs"][0]["results"]
    assert (
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == Path("/srv/a.yaml").as_uri()
    )
