"""A stand-in on loopback, in a thread with a loop of its own, so that blocking clients can ask it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest

from meshtest.standin.config import Config
from meshtest.standin.server import Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What http.client saw."""

    response: HTTPResponse
    body: bytes

    @property
    def status(self) -> int:
        return self.response.status

    @property
    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.body)
        return told


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """Where it listens."""

    ports: tuple[int, ...]
    server: Server

    @property
    def port(self) -> int:
        return self.ports[0]

    def ask(self, path: str, *, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        """One request of http.client over a connection of its own."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body=body, headers=named)
            response = connection.getresponse()
            return Answer(response=response, body=response.read())


Start = Callable[..., StandIn]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start stand-ins: `start(config keys)`; one automatic port unless `ports` says otherwise."""
    with contextlib.ExitStack() as stack:
        yield lambda **config: stack.enter_context(_running(config))


@pytest.fixture
def standin(start: Start) -> StandIn:
    """One with a port that finds out."""
    return start()


@contextlib.contextmanager
def _running(config: dict[str, Any]) -> Iterator[StandIn]:
    who = {"workload": "ratings-v1", "namespace": "default", "pod": "ratings-v1-0", "ports": [{"port": 0}]}
    server = Server(Config.from_dict({**who, **config}), "127.0.0.1")
    listening: Future[asyncio.AbstractEventLoop] = Future()
    stop = asyncio.Event()

    async def serve() -> None:
        try:
            await server.start()
        except BaseException as exc:
            listening.set_exception(exc)
            raise
        listening.set_result(asyncio.get_running_loop())
        await stop.wait()
        await server.stop()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    loop = listening.result(timeout=10)
    try:
        yield StandIn(ports=tuple(server.ports), server=server)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=10)
