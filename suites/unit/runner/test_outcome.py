"""What pytest's reports come to in the journal; the reports are made as pytest makes them."""

from __future__ import annotations

from typing import Any

import pytest

from meshtest.errors import CheckFailure, RuntimeFailure
from meshtest.runner.outcome import died, outcome, printable, reason

KNOWN = {"id": "a::b", "verdict": "unknown", "reason": "as judged", "failure": "text"}


def report(result: str, when: Any = "call", longrepr: Any = None, **more: Any) -> pytest.TestReport:
    return pytest.TestReport(
        nodeid="a::b", location=("a", 0, "b"), keywords={}, outcome=result, longrepr=longrepr, when=when,  # type: ignore[arg-type]  # a literal
        duration=1.5, **more,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("judged", "said", "raised", "verdict"),
    [
        ("pass", report("passed"), None, "pass"),
        ("fail", report("failed", longrepr="x"), CheckFailure("x"), "fail"),
        ("unknown", report("failed", longrepr="x"), CheckFailure("x"), "unknown"),
        ("pass", report("failed", longrepr="[XPASS(strict)] why"), None, "fail"),
        ("pass", report("failed", "teardown", "x"), RuntimeError("x"), "error"),
        ("", report("passed"), None, "pass"),
        ("", report("failed", longrepr="x"), AssertionError("x"), "fail"),
        ("", report("failed", longrepr="x"), RuntimeFailure("x"), "error"),
        ("", report("failed", "setup", "x"), AssertionError("x"), "error"),
        ("", report("skipped", "setup", ("f", 1, "Skipped: x")), None, "skipped"),
        ("fail", report("skipped", wasxfail="known"), CheckFailure("x"), "skipped"),
    ],
    ids=[
        "scenario-passes", "scenario-fails", "scenario-unknown", "strict-xpass", "bad-end", "test-passes", "test-fails",
        "machine", "setup", "skipped", "xfail",
    ],
)  # fmt: skip
def test_the_verdict(
    judged: str, said: pytest.TestReport, raised: BaseException | None, verdict: str
) -> None:
    assert outcome(KNOWN, judged, said, raised)["verdict"] == verdict


def test_a_bug_of_meshtest_is_no_failure_of_the_mesh() -> None:
    entry = outcome({**KNOWN, "kind": "scenario"}, "", report("failed", longrepr="x"), NameError("x"))
    assert entry["verdict"] == "error"


def test_what_the_checks_said_stays() -> None:
    entry = outcome(KNOWN, "fail", report("failed", longrepr="other"), CheckFailure("other"))
    assert (entry["reason"], entry["failure"]) == ("as judged", "text")


def test_what_pytest_said_replaces_it_where_no_check_decided() -> None:
    entry = outcome(KNOWN, "", report("failed", "setup", "no Envoy\nmore"), RuntimeFailure("no Envoy\nmore"))
    assert (entry["reason"], entry["failure"]) == ("no Envoy", "no Envoy\nmore")
    assert entry["duration"] == 1.5


@pytest.mark.parametrize(
    ("said", "raised", "text"),
    [
        (report("skipped", longrepr=("f", 1, "Skipped: not today")), None, "not today"),
        (report("skipped", wasxfail="reason: known"), None, "expected to fail: known"),
        (report("skipped", wasxfail=""), None, "expected to fail"),
        (report("failed", longrepr="\n\nfirst\nsecond"), None, "first"),
        (report("failed", longrepr="Failed: told"), None, "told"),
        (report("failed", longrepr=""), None, "failed"),
        (report("failed", longrepr="long"), RuntimeFailure("short\nlong"), "short"),
    ],
    ids=["skip", "xfail", "xfail-without-reason", "first-line", "pytest-fail", "nothing", "ours"],
)
def test_the_reason_is_one_line(said: pytest.TestReport, raised: BaseException | None, text: str) -> None:
    assert reason(said, raised) == text


def test_an_item_whose_worker_died_is_an_error() -> None:
    entry = died(report("failed", "???", "worker 'gw0' crashed while running 'a::b'"))
    assert (entry["id"], entry["verdict"]) == ("a::b", "error")
    assert entry["reason"] == "worker 'gw0' crashed while running 'a::b'"


def test_bytes_that_are_no_text_are_written_out() -> None:
    path = b"/caf\xc3\xa9/\xff".decode("utf-8", "surrogateescape")
    found = outcome(
        {**KNOWN, "exchanges": [{"path": path, path: (1, None)}]}, "unknown", report("failed", longrepr=path)
    )
    assert found["exchanges"] == [{"path": "/caf\u00e9/\\xff", "/caf\u00e9/\\xff": (1, None)}]
    assert printable(path).encode()
