"""What a request can ask for: delays, failures, statuses, headers."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

from meshtest.standin.control import BadControl, duration, set_headers

if TYPE_CHECKING:
    from suites.unit.standin.conftest import StandIn


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("1m30s", 90.0),
        ("1.5s", 1.5),
        ("0", 0.0),
        (".5h", 1800.0),
        ("10us", 1e-5),
        ("-1s", 0.0),
    ],
)
def test_reads_go_durations(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "1", "s", "1 s", "ms5", "1x", "1s1"])
def test_refuses_what_go_refuses(text: str) -> None:
    with pytest.raises(BadControl):
        duration(text)


def test_set_header_joins_repeated_names_and_leaves_framing_alone() -> None:
    asked = ["X-A: 1, X-B:2", "X-A:3,content-length: 1, bad name:x,:y"]
    assert set_headers(asked) == (("X-A", "1,3"), ("X-B", "2"))


def test_delays(standin: StandIn) -> None:
    begun = time.monotonic()
    assert standin.ask("/?delay=200ms").status == 200
    assert 0.2 <= time.monotonic() - begun < 2


def test_a_bad_delay_is_a_500_as_upstream(standin: StandIn) -> None:
    answer = standin.ask("/?delay=soon")
    assert (answer.status, answer.told) == (500, {"message": 'time: invalid duration "soon"'})


def test_fails_the_first_requests_of_a_uuid(standin: StandIn) -> None:
    asked = "/retry/x?uuid=%s&succeedAfter=2&responseCode=503"
    assert [standin.ask(asked % "a").status for _ in range(4)] == [503, 503, 200, 200]
    assert standin.ask(asked % "b").status == 503


def test_fails_with_a_reset_where_no_status_is_asked_for(standin: StandIn) -> None:
    asked = b"GET /?uuid=a&succeedAfter=1 HTTP/1.1\r\nhost: a\r\n\r\n"
    with socket.create_connection(("127.0.0.1", standin.port), timeout=5) as sock:
        sock.sendall(asked)
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    assert standin.ask("/?uuid=a&succeedAfter=1").status == 200


def test_delays_only_the_failing_answers(standin: StandIn) -> None:
    begun = time.monotonic()
    asked = "/?uuid=a&succeedAfter=1&responseCode=500&delayRetry=150ms"
    statuses = [standin.ask(asked).status for _ in range(2)]
    assert statuses == [500, 200]
    assert 0.15 <= time.monotonic() - begun < 1


@pytest.mark.parametrize("query", ["uuid=a&succeedAfter=x", "responseCode=99", "responseCode=abc"])
def test_bad_numbers_get_400(standin: StandIn, query: str) -> None:
    assert standin.ask("/?" + query).status == 400


@pytest.mark.parametrize("status", [204, 304, 404, 503, 599])
def test_status_paths_answer_that_status(standin: StandIn, status: int) -> None:
    answer = standin.ask(f"/status/{status}")
    assert answer.status == status
    assert (answer.body == b"") == (status in {204, 304})


def test_other_status_paths_are_ordinary(standin: StandIn) -> None:
    assert standin.ask("/status/4040").status == 200


def test_sets_response_headers(standin: StandIn) -> None:
    answer = standin.ask("/", X_Echo_Set_Header="X-Header-Set: some, x-Two:2")
    assert (answer.response.getheader("x-header-set"), answer.response.getheader("X-Two")) == ("some", "2")


def test_the_control_header_does_what_the_query_does(standin: StandIn) -> None:
    answer = standin.ask("/", X_Meshtest_Control="uuid=q&succeedAfter=1&responseCode=502")
    assert answer.status == 502


def test_counts_calls_for_who_asks_from_inside(standin: StandIn) -> None:
    for path in ("/a?x=1", "/a?x=2", "/b"):
        standin.ask(path)
    assert standin.ask("/_meshtest/calls").told == {"total": 3, "paths": {"/a": 2, "/b": 1}}
    assert standin.ask("/_meshtest/reset", method="POST").status == 200
    assert standin.ask("/_meshtest/calls").told == {"total": 0, "paths": {}}


def test_tells_no_counts_to_the_sidecar_and_others(standin: StandIn) -> None:
    there, sidecar = ("127.0.0.1", standin.port), ("127.0.0.6", 0)
    with socket.create_connection(there, timeout=5, source_address=sidecar) as sock:
        sock.sendall(b"GET /_meshtest/calls HTTP/1.1\r\nhost: a\r\n\r\n")
        assert b'"path":"/_meshtest/calls"' in sock.recv(65536)
    assert standin.ask("/_meshtest/calls").told["total"] == 1
