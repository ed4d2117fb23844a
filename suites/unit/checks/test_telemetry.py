from __future__ import annotations

from typing import Any

import pytest

from meshtest.checks import Verdict
from meshtest.traffic.model import LogLine, Span

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN


def span(pod: str, kind: str, **tags: str) -> Span:
    return Span(
        pod=pod, service="", name="ratings:9080/*", kind=kind, trace_id="1", span_id="2", parent_id="",
        protocol="zipkin", tags=tags,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        ("spans: 2", PASS),
        ("spans: 0", FAIL),
        ("spans: {atLeast: 1, kind: client}", PASS),
        ("spans: {exactly: 1, of: ratings-v1}", PASS),
        ("spans: {exactly: 1, of: reviews-v2, kind: server}", FAIL),
        ("spans: {exactly: 1, tags: {stage: test}}", PASS),
        ("spans: {exactly: 1, tags: {Stage: {prefix: te}}}", PASS),
        ("spans: {exactly: 1, tags: {stage: prod}}", FAIL),
        ("spans: {atMost: 0, name: other}", PASS),
    ],
)
def test_spans(make: Any, check: str, verdict: Verdict) -> None:
    spans = (span(make.caller, "client"), span(make.callee, "server", Stage="test"))
    assert make.judge(check, make.many(2, spans=spans)).verdict is verdict


def test_spans_that_nobody_collects_are_unknown(make: Any) -> None:
    assert make.judge("spans: 0", make.many(2)).verdict is UNKNOWN


def test_the_reason_has_the_numbers(make: Any) -> None:
    spans = (span(make.caller, "client"), span(make.callee, "server"))
    found = make.judge("spans: {exactly: 2, of: ratings-v1, tags: {a: b}}", make.many(2, spans=spans))
    expected = (
        "expected exactly 2 spans of ratings-v1 with a: 'b', saw 0 spans and 2 others in 2 of 2 requests"
    )
    assert found.reason == expected


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        ("accessLog: {at: ratings-v1}", PASS),
        ("accessLog: {at: ratings-v1, lines: 1}", PASS),
        ("accessLog: {at: ratings-v1, lines: 2}", FAIL),
        ("accessLog: {at: reviews-v2, lines: 0}", PASS),
        ("accessLog: {at: reviews-v2}", FAIL),
        ("accessLog: {at: ratings-v1, text: {contains: '200'}}", PASS),
        ("accessLog: {at: ratings-v1, text: {contains: '503'}}", FAIL),
    ],
)
def test_access_log(make: Any, check: str, verdict: Verdict) -> None:
    lines = (LogLine(pod=make.callee, text='"GET /" 200'),)
    assert make.judge(check, make.many(2, access_log=lines)).verdict is verdict


def test_a_log_that_nobody_read_is_unknown(make: Any) -> None:
    assert make.judge("accessLog: {at: ratings-v1, lines: 0}", make.many(2)).verdict is UNKNOWN
