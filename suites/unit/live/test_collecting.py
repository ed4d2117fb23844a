from __future__ import annotations

from dataclasses import replace
from typing import Any

from meshtest.live.collecting import lines_of, spans_of, with_telemetry
from meshtest.traffic.accesslog import hop_of
from meshtest.traffic.model import Exchange, LogLine, Outcome, Request
from meshtest.traffic.request_ids import request_id

NAME = "mt-0a1b2c-7"
IDENTITY = request_id(NAME)


def noted(**tags: str) -> dict[str, Any]:
    return {
        "protocol": "zipkin", "service": "ratings.default", "name": "x", "kind": "server", "traceId": "1",
        "spanId": "2", "parentId": "3", "tags": tags,
    }  # fmt: skip


def exchange(name: str) -> Exchange:
    request = Request(url="http://b/")
    return Exchange(
        id=name, caller="default/a-0", request=request, outcome=Outcome.RESPONSE, started=0.0, latency=0.0
    )


def test_a_span_belongs_to_the_exchange_of_its_request_id(model: Any) -> None:
    node = "sidecar~10.244.0.1~ratings-v1-0.default~default.svc.cluster.local"
    sampled = IDENTITY[:14] + "9" + IDENTITY[15:]
    found = spans_of([noted(**{"guid:x-request-id": sampled, "node_id": node}), noted()], model.pods)
    assert list(found) == [NAME]
    (span,) = found[NAME]
    assert (span.pod, span.kind, span.trace_id) == ("default/ratings-v1-0", "server", "1")


def test_a_span_without_node_is_known_by_its_service(model: Any) -> None:
    (span,) = spans_of([noted(**{"guid:x-request-id": IDENTITY})], model.pods)[NAME]
    assert span.pod == "default/ratings-v1-0"


def test_lines_name_requests_by_their_ids() -> None:
    text = f'starting\n"GET /" 200 "{IDENTITY}"\n{{"id":"{IDENTITY}","again":"{IDENTITY}"}}\nother 8e6c2d2f-0000\n'
    found = lines_of({"default/b-0": text, "default/c-0": ""})
    assert [line.pod for line in found[NAME]] == ["default/b-0", "default/b-0"]
    assert found[NAME][0].text.startswith('"GET')
    assert list(found) == [NAME]


def test_what_nobody_collects_is_not_nothing() -> None:
    lines = {NAME: [LogLine(pod="default/b-0", text="x")]}
    first, second = with_telemetry([exchange(NAME), exchange("other")], None, lines)
    assert (first.spans, second.spans) == (None, None)
    assert ([line.text for line in first.access_log or ()], second.access_log) == (["x"], ())
    (third,) = with_telemetry([exchange("other")], {}, {})
    assert third.spans == ()


def test_what_a_gateway_calls_a_request_by_is_about_it_too() -> None:
    given = "7f37f7c2-f958-4ae0-a440-959424b84a80"
    crossed = replace(exchange("mt-123456-1"), hops=(hop_of({"pod": "default/edge-0", "request_id": given}),))
    lines = lines_of({"default/edge-0": f"GET / {given}\nGET / {request_id('mt-123456-2')}\n"})
    (one,) = with_telemetry([crossed], None, lines)
    assert one.access_log == (LogLine(pod="default/edge-0", text=f"GET / {given}"),)
