from __future__ import annotations

import time
from typing import Any

import pytest

from meshtest.envoy.marks import FaultMark, baggage_member

Pair = Any  # conftest.py's; test folders are no packages

ABORT = ("abort:503",)
CALLEE = ("default/callee",)


def send(
    mesh: Pair, *marks: FaultMark, path: str = "/ratings/0?x=1", method: str = "GET", **headers: str
) -> Any:
    baggage = ",".join(("meshtest=7", *(baggage_member(mark) for mark in marks), "other=1"))
    return mesh.get(path, method=method, baggage=baggage, **headers)


def test_abort_hits_and_leaves_evidence(mesh: Pair) -> None:
    status, body, _ = send(mesh, FaultMark(id="f1", targets=CALLEE, actions=("abort:418",)))
    assert (status, body) == (418, "fault filter abort")
    line = mesh.bench.line(mesh.callee)
    assert (line["faults"], line["flags"], line["details"]) == ("f1", "FI", "fault_filter_abort")
    assert line["baggage"].startswith("meshtest=7,mtf.f1=")
    assert mesh.application.received == []


def test_first_attempt_only_is_mended_by_the_callers_retry(mesh: Pair) -> None:
    status, _, _ = send(mesh, FaultMark(id="f1", targets=CALLEE, attempts=(1,), actions=ABORT))
    assert status == 200
    assert mesh.bench.line(mesh.caller)["attempts"] == 2
    mesh.bench.line(mesh.callee, at_least=2)
    assert [(line["attempt"], line["faults"]) for line in mesh.bench.lines(mesh.callee)] == [
        ("1", "f1"),
        ("2", None),
    ]


def test_two_attempts_of_three(mesh: Pair) -> None:
    assert send(mesh, FaultMark(id="f1", attempts=(1, 2), actions=ABORT))[0] == 200
    assert mesh.bench.line(mesh.caller)["attempts"] == 3


def test_grpc_abort_answers_with_grpc_status(mesh: Pair) -> None:
    status, _, headers = send(mesh, FaultMark(id="f1", actions=("grpc:14",)), content_type="application/grpc")
    assert (status, headers["grpc-status"]) == (200, "14")
    assert mesh.bench.line(mesh.callee)["grpc_status"] == 14


def test_delay_and_rate(mesh: Pair) -> None:
    begun = time.monotonic()
    assert send(mesh, FaultMark(id="slow", actions=("delay:200",)))[0] == 200
    assert time.monotonic() - begun >= 0.2
    assert mesh.bench.line(mesh.callee)["flags"] == "DI"
    begun = time.monotonic()
    assert send(mesh, FaultMark(id="thin", actions=("rate:16",)), want_bytes="4096")[0] == 200
    assert time.monotonic() - begun >= 0.2


def test_two_marks_act_together(mesh: Pair) -> None:
    begun = time.monotonic()
    marks = FaultMark(id="slow", actions=("delay:100",)), FaultMark(id="gone", actions=("abort:500",))
    assert send(mesh, *marks)[0] == 500
    assert time.monotonic() - begun >= 0.1
    assert mesh.bench.line(mesh.callee)["faults"] == "slow,gone"


@pytest.mark.parametrize(
    ("fields", "hit"),
    [
        ({"targets": ("default/callee-0",)}, True),
        ({"targets": ("default/other", "default/callee")}, True),
        ({"targets": ("default/other",)}, False),
        ({"targets": ("default/calle",)}, False),
        ({"sources": ("10.0.0.9", "127.0.0.1")}, True),
        ({"sources": ("10.0.0.9",)}, False),
        ({"sources": ("127.0.0.1=default/bob",)}, True),
        ({"sources": ("127.0.0.1=default/eve",)}, False),
        ({"sources": ("10.0.0.9=default/bob",)}, False),
        ({"method": "GET"}, True),
        ({"method": "POST"}, False),
        ({"path": "=/ratings/0"}, True),
        ({"path": "=/ratings"}, False),
        ({"path": "^/rat"}, True),
        ({"path": "^/other"}, False),
        ({"path": "^/a|b&c+d%2C,"}, False),
        ({"attempts": (2,)}, False),
    ],
    ids=str,
)
def test_mark_hits_only_what_it_describes(mesh: Pair, fields: dict[str, Any], hit: bool) -> None:  # noqa: FBT001
    mark = FaultMark(id="f.1_x-y", actions=("abort:418",), **fields)
    assert send(mesh, mark)[0] == (418 if hit else 200)


def test_path_with_separators_of_the_mark_itself(mesh: Pair) -> None:
    path = "/a|b&c+d%2C,e"
    assert send(mesh, FaultMark(id="f", path="=" + path, actions=("abort:418",)), path=path + "?q")[0] == 418


@pytest.mark.parametrize(("source", "status"), [("127.0.0.1", 418), ("127.0.0.1=default/bob", 200)])
def test_plaintext_caller_has_an_address_but_no_identity(mesh: Pair, source: str, status: int) -> None:
    mark = baggage_member(FaultMark(id="f", sources=(source,), actions=("abort:418",)))
    assert mesh.get(port=mesh.inbound_port, baggage=mark)[0] == status


def test_foreign_fault_headers_do_nothing_and_are_removed(mesh: Pair) -> None:
    status, _, _ = mesh.get(x_meshtest_fault="1", x_envoy_fault_abort_request="503")
    assert status == 200
    received = mesh.application.received[-1].headers
    assert not [name for name in received if "fault" in name]


def test_applications_see_the_baggage_but_no_fault_headers(mesh: Pair) -> None:
    send(mesh, FaultMark(id="slow", actions=("delay:1",)))
    received = mesh.application.received[-1].headers
    assert received["baggage"].startswith("meshtest=7,mtf.slow=")
    assert not [name for name in received if "fault" in name]


@pytest.mark.parametrize(
    "baggage", ["mtf.", "mtf.x", "mtf.x=", "mtf.x=%7C", "mtf.x=a|b", "=,=,;", "mtf.x=%zz;p=1"]
)
def test_malformed_marks_are_ignored(mesh: Pair, baggage: str) -> None:
    assert mesh.get(baggage=baggage)[0] == 200
