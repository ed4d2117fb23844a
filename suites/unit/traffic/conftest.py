from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from meshtest import wire
from meshtest.traffic import driver as role
from meshtest.traffic.client import TrafficDriver

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Coroutine, Iterator

    Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Servers:
    """asyncio servers on 127.0.0.1, in a loop of their own thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._writers: list[asyncio.StreamWriter] = []
        self._servers: list[asyncio.Server] = []
        self._handling: set[asyncio.Task[Any] | None] = set()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def start(self, handler: Handler, tls: ssl.SSLContext | None = None) -> int:
        """Serve streams and return the port."""

        async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._writers.append(writer)
            self._handling.add(asyncio.current_task())
            with contextlib.suppress(asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):
                await handler(reader, writer)

        async def begin() -> int:
            server = await asyncio.start_server(keep, "127.0.0.1", 0, ssl=tls)
            self._servers.append(server)
            return int(server.sockets[0].getsockname()[1])

        return int(self.run(begin()))

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def close(self) -> None:
        async def end() -> None:
            for server in self._servers:
                server.close()
            # A connection that was only just taken has nobody yet who would close it.
            taking = asyncio.all_tasks() - {asyncio.current_task()} - self._handling
            if taking:
                await asyncio.wait(taking, timeout=1)
                await asyncio.sleep(0)
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for writer in self._writers:
                writer.transport.abort()
            await asyncio.sleep(0)

        self.run(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., int]]:
    """`serve(handler, tls=None)` starts a server and returns its port."""
    made = Servers()
    yield made.start
    made.close()


def start_driver(**config: Any) -> tuple[TrafficDriver, Callable[[], None]]:
    """The real role on a thread, over a real socket pair."""
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=role.main, args=({"namespaces": None, **config}, theirs))
    thread.start()
    reader, writer = ours.makefile("rb"), ours.makefile("wb")
    channel = wire.Channel("driver", reader, writer)

    def stop() -> None:
        ours.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        channel.close()
        reader.close()
        ours.close()

    return TrafficDriver(channel, run="0a1b"), stop


@pytest.fixture
def drive() -> Iterator[Callable[..., TrafficDriver]]:
    """`drive(**config)` starts a driver."""
    with contextlib.ExitStack() as stack:

        def start(**config: Any) -> TrafficDriver:
            made, stop = start_driver(**config)
            stack.callback(stop)
            return made

        yield start


@pytest.fixture
def driver(drive: Callable[..., TrafficDriver]) -> TrafficDriver:
    return drive()
