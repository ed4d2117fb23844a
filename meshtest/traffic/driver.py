"""The driver: one process that sends every pod's requests, from inside the pod's network namespace.

    pytest ── wire ──► here │ request │ load │ cancel │ dial ──► sockets in the callers' pods

Operations (header keys; answers are packed by `columns`):

    here     nothing: whoever answers is there
    request  caller, request, exchange, marks: [member, ...]
    load     caller, requests, count, prefix, first, concurrency | rate, start_at, name (for cancel),
             marks: [[member, [position, ...]], ...]
    cancel   name
    dial     caller, address, port, within    -> connected, problem, seconds
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from meshtest import wire
from meshtest.traffic.call import Call
from meshtest.traffic.codec import request_from_dict
from meshtest.traffic.columns import single
from meshtest.traffic.connect import Network
from meshtest.traffic.fast import FastSender, suits
from meshtest.traffic.load import Load, LoadPlan
from meshtest.traffic.netns import Namespaces
from meshtest.traffic.once import once
from meshtest.traffic.pool import Pool
from meshtest.traffic.reply import Failed
from meshtest.traffic.resolve import Resolver
from meshtest.traffic.tasks import TaskSender

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Mapping

    from meshtest.traffic.load import Sender

    Answer = tuple[dict[str, Any], bytes]

RESOLVER = "10.96.0.10"


def main(config: Mapping[str, Any], sock: socket.socket | None) -> int:
    """The role: serve until the other side hangs up.

    Args:
        config: `namespaces`: folder of the pods' network namespaces, None: the current one;
            `resolver`: `ip[:port]`.
        sock: a connected stream socket to pytest's process.
    """
    if sock is None:
        raise ValueError("the driver needs a socket to its caller")
    asyncio.run(_serve(Driver(config), sock))
    return 0


async def _serve(driver: Driver, sock: socket.socket) -> None:
    sock.setblocking(False)  # noqa: FBT003 - positional-only
    reader, writer = await asyncio.open_connection(sock=sock)
    await wire.serve(reader, writer, driver.handle)
    driver.close()
    writer.close()


class Driver:
    """Answers the operations; see the module's text."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        directory = config.get("namespaces")
        namespaces = Namespaces(directory)
        resolver = config.get("resolver", RESOLVER if directory else None)
        self._network = Network(namespaces, Resolver(namespaces, resolver))
        self._pool = Pool()
        self._loads: dict[str, Load] = {}

    async def handle(self, frame: wire.Frame) -> Answer:
        """One operation."""
        header = frame.header
        match header["op"]:
            case "here":
                return {}, b""
            case "request":
                return await self._request(header)
            case "load":
                return await self._load(header)
            case "cancel":
                return self._cancel(header["name"])
            case "dial":
                return await self._dial(header)
            case other:
                raise ValueError(f"unknown operation {other!r}")

    def close(self) -> None:
        """Close what is pooled."""
        self._pool.close()

    async def _request(self, header: Mapping[str, Any]) -> Answer:
        request = request_from_dict(header["request"])
        caller, exchange, marks = header["caller"], header["exchange"], header.get("marks", ())
        call = Call.of(self._network, caller, request, exchange, marks, self._pool)
        started, begin = time.time(), time.perf_counter()
        reply = await once(call)
        return single(reply, started=started, latency=time.perf_counter() - begin)

    async def _load(self, header: Mapping[str, Any]) -> Answer:
        plan = load_plan(header)
        load = Load(plan, await self._sender(plan))
        name = header.get("name", "")
        self._loads[name] = load
        try:
            return await load.run()
        finally:
            self._loads.pop(name, None)

    async def _sender(self, plan: LoadPlan) -> Sender:
        if all(map(suits, plan.requests)):
            # A name that does not resolve is the outcome of every request, which the other sender reports.
            with contextlib.suppress(Failed):
                return await FastSender.open(self._network, plan)
        return TaskSender(self._network, plan)

    def _cancel(self, name: str) -> Answer:
        load = self._loads.get(name)
        if load is not None:
            load.cancel()
        return {"cancelled": load is not None}, b""

    async def _dial(self, header: Mapping[str, Any]) -> Answer:
        begin = time.perf_counter()
        error = ""
        try:
            async with asyncio.timeout(header["within"]):
                sock = await self._network.dial(header["caller"], (header["address"], header["port"]))
                sock.close()
        except Failed as exc:
            error = exc.error
        except TimeoutError:
            error = "timeout"
        return {"connected": not error, "problem": error, "seconds": time.perf_counter() - begin}, b""


def load_plan(header: Mapping[str, Any]) -> LoadPlan:
    """A load from its JSON."""
    return LoadPlan(
        caller=header["caller"],
        requests=[request_from_dict(each) for each in header["requests"]],
        count=header["count"],
        prefix=header["prefix"],
        first=header.get("first", 0),
        concurrency=header.get("concurrency", 1),
        rate=header.get("rate"),
        start_at=header.get("start_at"),
        marks=marks_by_position(header.get("marks", ())),
    )


def marks_by_position(marks: Iterable[tuple[str, Iterable[int]]]) -> dict[int, str]:
    """Position -> its baggage members, each with a comma before it."""
    found: dict[int, str] = {}
    for member, positions in marks:
        for position in positions:
            found[position] = f"{found.get(position, '')},{member}"
    return found
