from __future__ import annotations

import json

from meshtest.traffic.accesslog import hop_of
from meshtest.traffic.codec import (
    exchange_from_dict,
    exchange_to_dict,
    history_from_dict,
    history_to_dict,
    request_from_dict,
    request_to_dict,
)
from meshtest.traffic.model import (
    BackendReply,
    BackendRequest,
    ClientTls,
    Exchange,
    Outcome,
    Protocol,
    Request,
)
from meshtest.traffic.pairs import Headers
from meshtest.traffic.record import FaultWindow, History

TLS = ClientTls(server_name="", alpn=("h2",), certificate="CERT", key="SECRET", ca="CA")
REQUEST = Request(
    url="https://a/ä",
    method="POST",
    headers=(("X-A", "1"), ("x-a", "2")),
    body=b"\xff\x00",
    protocol=Protocol.HTTPS,
    tls=TLS,
    timeout=3.5,
)
LINE = {
    "pod": "default/a",
    "side": "outbound",
    "layer": "http",
    "start": "1.5",
    "status": 200,
    "faults": "f1,f2",
}
EXCHANGE = Exchange(
    id="mt-1-1",
    caller="default/a",
    request=REQUEST,
    outcome=Outcome.RESPONSE,
    started=1.0,
    latency=0.25,
    status=200,
    headers=Headers((("Server", "envoy"),)),
    body=b'{"a": 1}',
    messages=(b"one", b"\xfe"),
    redirects=("http://b/",),
    faults=("f1",),
    backend=BackendReply(
        workload="b",
        namespace="default",
        pod="b-1",
        request=BackendRequest(method="GET", headers={"x-a": ["1"]}, body=b"\x80"),
        calls=({"url": "http://c/", "status": 200},),
    ),
    hops=(hop_of(LINE),),
    complete=False,
)


def test_an_exchange_survives_the_journal_but_for_its_key() -> None:
    text = json.dumps(exchange_to_dict(EXCHANGE))
    assert "SECRET" not in text
    again = exchange_from_dict(json.loads(text))
    assert exchange_to_dict(again) == exchange_to_dict(EXCHANGE)
    assert again.hops == EXCHANGE.hops
    assert (again.backend, again.body, again.messages) == (EXCHANGE.backend, EXCHANGE.body, EXCHANGE.messages)
    assert (again.outcome, again.headers, again.complete) == (Outcome.RESPONSE, EXCHANGE.headers, False)


def test_the_driver_gets_the_whole_request() -> None:
    assert request_from_dict(json.loads(json.dumps(request_to_dict(REQUEST, secrets=True)))) == REQUEST


def test_what_is_default_is_not_written() -> None:
    assert request_to_dict(Request(url="http://a/")) == {"url": "http://a/"}


def test_a_history_keeps_its_windows_and_seed() -> None:
    window = FaultWindow(
        id="f1", kind="abort", target="b", placement="inbound", injected=1.0, recovered=2.0, hits=3, marked=4
    )
    history = History(exchanges=(EXCHANGE,), faults=(window,), seed=7)
    again = history_from_dict(json.loads(json.dumps(history_to_dict(history))))
    assert (again.seed, again.faults) == (7, (window,))
    assert again.exchanges[0].id == "mt-1-1"


def test_a_line_becomes_a_hop_with_its_dashes_taken_for_nothing() -> None:
    hop = hop_of(
        {**LINE, "flags": "-", "attempt": None, "attempts": None, "upstream": None, "duration_ms": 3}
    )
    assert (hop.flags, hop.attempt, hop.attempts, hop.upstream, hop.faults) == ("", 1, 0, "", ("f1", "f2"))
