"""The role that keeps Toxiproxy, with the real server on this machine's loopback."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.errors import RuntimeFailure
from meshtest.faults.detours import server
from meshtest.waiting import wait_until
from meshtest.wire import Channel

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.importorskip("toxiproxy", reason="connection faults need toxiproxy-python")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


PROGRAM = """
import json, socket, sys
from meshtest.faults.toxics import main
main(json.loads(sys.argv[1]), socket.socket(fileno=int(sys.argv[2])))
"""


class Toxics:
    """The role in a process of its own."""

    def __init__(self, *argv: str) -> None:
        port = free_port()
        config = {
            "argv": argv or (*server()[:-1], f"127.0.0.1:{port}"),
            "api": port,
            "address": "127.0.0.1",
        }
        ours, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            command = [sys.executable, "-c", PROGRAM, json.dumps(config), str(number)]
            self.process = subprocess.Popen(command, pass_fds=[number])
        self._files: list[Any] = [ours, ours.makefile("rb"), ours.makefile("wb")]
        self.channel = Channel("toxics", self._files[1], self._files[2])

    def attach(self, fault: str, endpoint: str, *toxics: dict[str, Any], down: bool = False) -> str:
        """Put a fault on the edge from `a`, and return its listener."""
        asked: dict[str, Any] = {"fault": fault, "edges": [["a", endpoint]], "toxics": toxics, "down": down}
        made = self.channel.call("attach", timeout=20, **asked).header
        return str(made["edges"][0][2])

    def leave(self, fault: str) -> list[str]:
        gone = self.channel.call("detach", timeout=5, fault=fault).header["edges"]
        self.channel.call("remove", timeout=5, fault=fault)
        return [listener for _, _, listener in gone]

    def close(self) -> None:
        self._files[0].shutdown(socket.SHUT_RDWR)
        self.process.wait(5)
        for each in self._files:
            each.close()


@pytest.fixture
def toxics() -> Iterator[Toxics]:
    made = Toxics()
    yield made
    made.close()


@pytest.fixture
def echo() -> Iterator[str]:
    """A server that answers every connection with what it sent."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(connection.recv(65536))

    threading.Thread(target=serve, daemon=True).start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def ask(address: str, timeout: float = 2.0) -> tuple[str, float]:
    """What comes back, or how it failed, and after how many seconds the end came."""
    host, _, port = address.partition(":")
    began = time.monotonic()
    answer = b""
    try:
        with socket.create_connection((host, int(port)), timeout=timeout) as sock:
            sock.sendall(b"x" * 2000)
            while found := sock.recv(65536):
                answer += found
    except OSError as exc:
        return type(exc).__name__, time.monotonic() - began
    return answer.decode().replace("x" * 2000, "all"), time.monotonic() - began


def toxic(kind: str, stream: str = "downstream", **attributes: int) -> dict[str, Any]:
    return {"type": kind, "stream": stream, "toxicity": 1.0, "attributes": attributes}


@pytest.mark.parametrize(
    ("put", "answer", "least"),
    [
        (toxic("latency", latency=150, jitter=0), "all", 0.15),
        (toxic("bandwidth", rate=10), "all", 0.15),
        (toxic("slow_close", delay=200), "all", 0.2),
        (toxic("timeout", "upstream", timeout=200), "", 0.2),
        (toxic("timeout", "upstream", timeout=0), "TimeoutError", 0.5),
        (toxic("reset_peer", timeout=0), "ConnectionResetError", 0.0),
        (toxic("slicer", average_size=500, size_variation=10, delay=50_000), "all", 0.1),
        (toxic("limit_data", bytes=5), "xxxxx", 0.0),
    ],
    ids=["latency", "bandwidth", "slow_close", "timeout", "black-hole", "reset", "slicer", "limit"],
)
def test_a_toxic_is_in_force_from_the_first_connection_on(
    toxics: Toxics, echo: str, put: dict[str, Any], answer: str, least: float
) -> None:
    found, seconds = ask(toxics.attach("f1", echo, put), timeout=0.6)
    assert found == answer
    assert seconds >= least * 0.95


def test_a_listener_that_is_down_refuses_and_goes_with_its_fault(toxics: Toxics, echo: str) -> None:
    listener = toxics.attach("f1", echo, down=True)
    assert ask(listener)[0] == "ConnectionRefusedError"
    assert toxics.leave("f1") == [listener]
    assert ask(listener)[0] == "ConnectionRefusedError"


def test_faults_on_one_edge_share_its_listener_and_leave_one_by_one(toxics: Toxics, echo: str) -> None:
    listener = toxics.attach("slow", echo, toxic("latency", latency=100, jitter=0))
    assert toxics.attach("slower", echo, toxic("latency", latency=100, jitter=0)) == listener
    assert toxics.attach("none", echo, down=True) == listener
    assert ask(listener)[0] == "ConnectionRefusedError"
    assert toxics.leave("none") == []
    found, seconds = ask(listener)
    assert found == "all"
    assert seconds >= 0.19
    assert toxics.leave("slow") == []
    assert toxics.leave("slower") == [listener]


def test_leaving_is_idempotent_and_the_next_fault_gets_another_listener(toxics: Toxics, echo: str) -> None:
    listener = toxics.attach("f1", echo, toxic("latency", latency=1, jitter=0))
    assert toxics.leave("f1") == [listener]
    assert toxics.leave("f1") == []
    assert toxics.leave("never") == []
    assert toxics.attach("f2", echo) != listener


def test_connections_end_when_their_listener_goes(toxics: Toxics, echo: str) -> None:
    host, _, port = toxics.attach("f1", echo, toxic("timeout", "upstream", timeout=0)).partition(":")
    with socket.create_connection((host, int(port)), timeout=3) as sock:
        sock.sendall(b"hello")
        toxics.leave("f1")
        # A reset where the bytes still lay unread in the server's socket, else an end.
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(10) == b""


def test_what_toxiproxy_refuses_is_an_error_of_ours(toxics: Toxics, echo: str) -> None:
    with pytest.raises(RuntimeFailure, match=r"Toxiproxy: InvalidToxic.*invalid toxic type"):
        toxics.attach("f1", echo, toxic("poison"))
    assert len(toxics.leave("f1")) == 1


def test_a_server_that_does_not_start_is_an_error_of_ours() -> None:
    made = Toxics("/bin/false")
    try:
        with pytest.raises(RuntimeFailure, match="Toxiproxy server has ended with status 1"):
            made.attach("f1", "127.0.0.1:1")
    finally:
        made.close()


def test_the_server_ends_with_the_role(toxics: Toxics, echo: str) -> None:
    listener = toxics.attach("f1", echo)
    assert ask(listener)[0] == "all"
    toxics.process.kill()
    wait_until(lambda: ask(listener)[0] != "all", 5.0, lambda: "the server outlives its role")
