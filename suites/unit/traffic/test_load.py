from __future__ import annotations

import asyncio
import threading
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from meshtest.errors import ScenarioError
from meshtest.traffic.client import Traffic
from meshtest.traffic.model import Outcome, Request
from meshtest.wire import RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from meshtest.traffic.client import TrafficDriver

    Serve = Callable[..., int]

CALLER = "default/caller"


class Server:
    """Echoes the head of each request as the body; closes after `per_connection` requests, silently."""

    def __init__(self, per_connection: int = 1_000_000, delay: float = 0.0) -> None:
        self.per_connection = per_connection
        self.delay = delay
        self.connections = 0
        self.active = 0
        self.most_active = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        for _ in range(self.per_connection):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            self.active += 1
            self.most_active = max(self.active, self.most_active)
            if self.delay:
                await asyncio.sleep(self.delay)
            self.active -= 1
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(head), head))
        writer.close()


def request(port: int, path: str = "/", *, reuse: bool = True) -> Request:
    return Request(url=f"http://127.0.0.1:{port}{path}", reuse=reuse)


def test_closed_loop_keeps_its_concurrency_over_as_many_connections(
    driver: TrafficDriver, serve: Serve
) -> None:
    server = Server(delay=0.002)
    traffic = Traffic(caller=CALLER, requests=[request(serve(server))], count=60, concurrency=4)
    ended = driver.send(traffic)
    assert [one.id for one in ended] == [f"mt-0a1b-{number}" for number in range(60)]
    assert {one.outcome for one in ended} == {Outcome.RESPONSE}
    assert (server.connections, server.most_active) == (4, 4)


def test_without_reuse_every_request_has_its_own_connection(driver: TrafficDriver, serve: Serve) -> None:
    server = Server()
    port = serve(server)
    ended = driver.send(
        Traffic(caller=CALLER, requests=[request(port, reuse=False)], count=20, concurrency=3)
    )
    assert server.connections == 20
    assert len({one.local_address for one in ended}) == 20


def test_each_request_carries_its_own_id_and_marks(driver: TrafficDriver, serve: Serve) -> None:
    port = serve(Server())
    marks = [("mtf.a=1", [1, 3]), ("mtf.b=2", [3])]
    ended = driver.send(Traffic(caller=CALLER, requests=[request(port)], count=4, marks=marks))
    assert [one.faults for one in ended] == [(), ("a",), (), ("a", "b")]
    lines = [one.body.split(b"baggage: ")[1].split(b"\r\n")[0] for one in ended]
    assert lines == [
        b"meshtest=mt-0a1b-0",
        b"meshtest=mt-0a1b-1,mtf.a=1",
        b"meshtest=mt-0a1b-2",
        b"meshtest=mt-0a1b-3,mtf.a=1,mtf.b=2",
    ]


def test_several_requests_are_sent_in_turn(driver: TrafficDriver, serve: Serve) -> None:
    port = serve(Server())
    requests = [request(port, "/a"), request(port, "/b")]
    ended = driver.send(Traffic(caller=CALLER, requests=requests, count=5, concurrency=2))
    assert [one.body.split()[1] for one in ended] == [b"/a", b"/b", b"/a", b"/b", b"/a"]
    assert [one.request for one in ended[:2]] == requests


def test_idle_connections_that_the_server_closed_are_replaced(driver: TrafficDriver, serve: Serve) -> None:
    server = Server(per_connection=1)
    traffic = Traffic(caller=CALLER, requests=[request(serve(server))], rate=50, count=6)
    ended = driver.send(traffic)
    assert {one.outcome for one in ended} == {Outcome.RESPONSE}
    assert server.connections == 6


def test_open_loop_sends_at_its_rate_and_counts_from_the_intended_start(
    driver: TrafficDriver, serve: Serve
) -> None:
    server = Server(delay=0.05)
    ended = driver.send(Traffic(caller=CALLER, requests=[request(serve(server))], rate=100, duration=0.3))
    assert len(ended) == 30
    steps = [after.started - before.started for before, after in pairwise(ended)]
    assert all(abs(step - 0.01) < 1e-4 for step in steps)
    assert server.most_active > 2
    assert all(one.latency >= one.sent_late for one in ended)


def test_a_driver_that_cannot_send_fails_the_load_instead_of_reporting_outcomes(
    drive: Callable[..., TrafficDriver], tmp_path: Path
) -> None:
    traffic = Traffic(caller="default/gone", requests=[request(1)], count=3, concurrency=2)
    with pytest.raises(RemoteError, match="default/gone is not a running pod"):
        drive(namespaces=str(tmp_path)).send(traffic)


def test_a_wrong_url_is_the_users_mistake(driver: TrafficDriver) -> None:
    with pytest.raises(ScenarioError, match="not a URL"):
        driver.send(Traffic(caller=CALLER, requests=[Request(url="reviews:9080")], count=1))


def test_the_timeout_of_one_request_does_not_hold_up_the_rest(driver: TrafficDriver, serve: Serve) -> None:
    port = serve(Server(delay=0.3))
    slow = Request(url=f"http://127.0.0.1:{port}/", reuse=True, timeout=0.05)
    ended = driver.send(Traffic(caller=CALLER, requests=[slow], count=4, concurrency=2))
    assert {one.outcome for one in ended} == {Outcome.TIMEOUT}
    assert all(one.latency < 0.25 for one in ended)


def test_a_cancelled_load_gives_what_was_sent(driver: TrafficDriver, serve: Serve) -> None:
    server = Server()
    sending = driver.start(Traffic(caller=CALLER, requests=[request(serve(server))], rate=50, duration=60))
    began = threading.Event()
    began.wait(0.2)
    driver.cancel(sending)
    assert 0 < len(driver.finish(sending)) < 100


def test_a_load_may_start_at_a_given_time(driver: TrafficDriver, serve: Serve) -> None:
    at = time.time() + 0.1
    port = serve(Server())
    ended = driver.send(Traffic(caller=CALLER, requests=[request(port)], count=1, start_at=at))
    assert -0.005 < ended[0].started - at < 0.1
