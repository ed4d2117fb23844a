from __future__ import annotations

import io
import socket
import struct
import threading
from typing import TYPE_CHECKING

import pytest

from meshtest import wire
from meshtest.errors import RuntimeFailure
from meshtest.runtime.docker.streams import Attached, Line, channel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OUT, ERR = 1, 2


def framed(kind: int, data: bytes) -> bytes:
    return struct.pack(">BxxxI", kind, len(data)) + data


class Peer:
    """Docker's end of a stream."""

    def __init__(self) -> None:
        self.socket, self.theirs = socket.socketpair()

    def say(self, data: bytes, kind: int = OUT) -> None:
        self.socket.sendall(framed(kind, data))


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line()
    yield line
    line.hang_up()


@pytest.fixture
def peers(line: Line) -> Iterator[Callable[[], Peer]]:
    """Connects the line to somebody new."""
    made: list[Peer] = []

    def connect() -> Peer:
        made.append(Peer())
        line.connect(Attached(made[-1].theirs))
        return made[-1]

    yield connect
    for peer in made:
        peer.socket.close()
        peer.theirs.close()


def test_output_and_errors_are_told_apart(line: Line, peers: Callable[[], Peer]) -> None:
    peer = peers()
    peer.say(b"on")
    peer.say(b"a warning", ERR)
    peer.say(b"e")
    assert io.BufferedReader(line).read(3) == b"one"
    assert list(line.errors) == [b"a warning"]


def test_what_is_written_too_early_waits_for_the_process(line: Line, peers: Callable[[], Peer]) -> None:
    line.write(b"hello")
    assert peers().socket.recv(10) == b"hello"


def test_a_line_goes_on_with_the_next_process(line: Line, peers: Callable[[], Peer]) -> None:
    ended = threading.Event()
    line.on_end = ended.set
    asking = channel("somebody", line)
    first = peers()
    first.socket.close()
    assert ended.wait(5)
    ticket = asking.start("hello")
    second = peers()
    with second.socket.makefile("rb") as reader:
        header = wire.read(reader)
    assert header is not None
    second.say(wire.encode({"id": header.header["id"], "said": "again"}))
    assert asking.result(ticket, timeout=5).header["said"] == "again"


def test_nobody_writes_on_a_closed_line(line: Line) -> None:
    line.hang_up()
    with pytest.raises(ValueError, match="closed"):
        line.write(b"x")


def test_a_stream_that_comes_too_late_is_closed(line: Line, peers: Callable[[], Peer]) -> None:
    line.hang_up()
    assert peers().socket.recv(10) == b""


def test_what_a_process_ended_of_is_said_to_whoever_waits(line: Line, peers: Callable[[], Peer]) -> None:
    asking = channel("somebody", line, cause=lambda: RuntimeFailure("Docker has ended"))
    peer = peers()
    ticket = asking.start("hello")
    peer.socket.close()
    with pytest.raises(RuntimeFailure, match=r"^Docker has ended$"):
        asking.result(ticket, timeout=5)
    with pytest.raises(RuntimeFailure, match=r"^Docker has ended$"):
        asking.call("hello", timeout=5)
