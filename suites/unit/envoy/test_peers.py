"""Who has a connection with a pod: real sockets of this process."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

from meshtest.envoy.peers import among, peers
from meshtest.envoy.sockets import UnixHttp

if TYPE_CHECKING:
    from pathlib import Path

NODES = ["sidecar~10.0.0.1~a.shop~shop.svc.cluster.local", "router~10.0.0.2~b.shop~shop.svc.cluster.local"]


def test_an_open_connection_is_seen() -> None:
    with (
        socket.create_server(("127.0.0.7", 0)) as server,
        socket.create_connection(server.getsockname()),
    ):
        assert "127.0.0.7" in (peers(os.getpid()) or ())


def test_a_connection_that_one_end_has_closed_is_seen_still() -> None:
    with (
        socket.create_server(("127.0.0.9", 0)) as server,
        socket.create_connection(server.getsockname(), source_address=("127.0.0.8", 0)),
    ):
        server.accept()[0].close()
        assert "127.0.0.8" in (peers(os.getpid()) or ())


def test_a_listener_has_no_peer() -> None:
    with socket.create_server(("127.0.0.10", 0)):
        assert "127.0.0.10" not in (peers(os.getpid()) or ())


def test_a_process_that_is_out_of_sight_has_unknown_peers() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert peers(ended.pid) is None
    assert peers(None) is None


def test_those_that_were_seen_are_chosen() -> None:
    assert among(NODES, [frozenset({"10.0.0.2"}), frozenset({"10.0.0.3"})]) == {NODES[1]}
    assert among(NODES, [frozenset()]) == set()


def test_all_are_chosen_where_somebody_could_not_see() -> None:
    assert among(NODES, [frozenset(), None]) == set(NODES)


def test_the_process_behind_a_socket_is_known(tmp_path: Path) -> None:
    path = str(tmp_path / "admin")

    ended = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await reader.read()
        writer.close()
        ended.set()

    async def ask() -> tuple[int | None, int | None]:
        async with await asyncio.start_unix_server(answer, path):
            client = UnixHttp(path)
            before = client.process()
            await client.ask("/")
            found = client.process()
            client.close()
            await ended.wait()
            return before, found

    assert asyncio.run(ask()) == (None, os.getpid())
