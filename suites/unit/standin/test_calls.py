"""Calls to other stand-ins, and to what is none."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from meshtest.standin.calls import Target
from meshtest.standin.config import Call

if TYPE_CHECKING:
    from collections.abc import Iterator

    from suites.unit.standin.conftest import Start


@contextlib.contextmanager
def _server(answer: bytes) -> Iterator[int]:
    """Answers every connection with the same bytes after the first request, then hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    sock, _ = listener.accept()
                    with sock:
                        sock.recv(65536)
                        sock.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)


def test_calls_others_and_reports_their_answers(start: Start) -> None:
    ratings = start(workload="ratings-v1")
    url = f"http://127.0.0.1:{ratings.port}"
    reviews = start(workload="reviews-v2", calls=[{"url": url + "/ratings/0?x=1"}, {"url": url}])
    productpage = start(
        workload="productpage-v1", calls=[{"url": f"http://localhost:{reviews.port}/reviews/0"}]
    )
    [call] = productpage.ask("/").told["calls"]
    assert (call["outcome"], call["status"], call["body"]["workload"]) == ("response", 200, "reviews-v2")
    first, second = call["body"]["calls"]
    assert (first["url"], first["body"]["path"]) == (url + "/ratings/0?x=1", "/ratings/0?x=1")
    assert (second["body"]["path"], second["body"]["host"]) == ("/", f"127.0.0.1:{ratings.port}")


def test_passes_on_what_bookinfo_passes_on(start: Start) -> None:
    ratings = start()
    reviews = start(calls=[{"url": f"http://127.0.0.1:{ratings.port}"}])
    [call] = reviews.ask("/", baggage="meshtest=1", end_user="jason", x_b3_traceid="a", x_other="no").told[
        "calls"
    ]
    passed = call["body"]["headers"]
    assert (passed["baggage"], passed["end-user"], passed["x-b3-traceid"]) == (
        ["meshtest=1"],
        ["jason"],
        ["a"],
    )
    assert "x-other" not in passed


def test_keeps_its_connections(start: Start) -> None:
    ratings = start()
    reviews = start(calls=[{"url": f"http://127.0.0.1:{ratings.port}"}])
    peers = {reviews.ask("/").told["calls"][0]["body"]["peer"] for _ in range(5)}
    assert len(peers) == 1


def test_a_kept_connection_that_has_ended_is_replaced(start: Start) -> None:
    body = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
    with _server(body) as port:
        reviews = start(calls=[{"url": f"http://127.0.0.1:{port}"}])
        for _ in range(3):
            [call] = reviews.ask("/").told["calls"]
            assert (call["outcome"], call["status"], call["body"]) == ("response", 200, "hi")


def test_an_answer_without_length_ends_with_its_connection(start: Start) -> None:
    with _server(b"HTTP/1.0 203 Ok\r\n\r\nold") as port:
        [call] = start(calls=[{"url": f"http://127.0.0.1:{port}"}]).ask("/").told["calls"]
    assert (call["status"], call["body"]) == (203, "old")


def test_failed_calls_are_reported_and_the_answer_stays_200(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with _server(b"") as silent, _server(b"SSH-2.0\r\n") as other:
        ports = [f"http://127.0.0.1:{each}" for each in (port, silent, other)]
        urls = [ports[0], "http://nowhere.invalid", *ports[1:]]
        answer = start(calls=[{"url": url} for url in urls]).ask("/")
    assert answer.status == 200
    outcomes = [call["outcome"] for call in answer.told["calls"]]
    assert outcomes == ["refused", "unresolved", "reset", "reset"]


def test_a_required_call_that_fails_makes_it_502(start: Start) -> None:
    ratings = start()
    url = f"http://127.0.0.1:{ratings.port}"
    assert start(calls=[{"url": url + "/status/503", "required": True}]).ask("/").status == 502
    assert start(calls=[{"url": url, "required": True}, {"url": url + "/status/503"}]).ask("/").status == 200


def test_calls_over_tls(start: Start) -> None:
    ratings = start(ports=[{"port": 0, "protocol": "https"}])
    [call] = start(calls=[{"url": f"https://localhost:{ratings.port}/x"}]).ask("/").told["calls"]
    assert (call["status"], call["body"]["sni"]) == (200, "localhost")


def test_asking_for_counts_calls_nobody(start: Start) -> None:
    assert "calls" not in start(calls=[{"url": "http://127.0.0.1:1"}]).ask("/_meshtest/calls").told


@pytest.mark.parametrize("url", ["ratings:9080", "tcp://a:1", "http://"])
def test_refuses_urls_it_cannot_call(url: str) -> None:
    with pytest.raises(ValueError, match="expected http://HOST"):
        Target.of(Call(url=url))
