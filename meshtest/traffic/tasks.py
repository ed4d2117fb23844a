"""The sender of loads in any protocol: a task per request."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from meshtest.traffic.call import Call
from meshtest.traffic.once import once
from meshtest.traffic.pool import Pool

if TYPE_CHECKING:
    from meshtest.traffic.connect import Network
    from meshtest.traffic.load import Ended, LoadPlan


class TaskSender:
    """Sends each request of a load as a single one, over a pool of the load's own."""

    def __init__(self, network: Network, plan: LoadPlan) -> None:
        self._network = network
        self._plan = plan
        self._pool = Pool()
        self._tasks: set[asyncio.Task[None]] = set()

    def launch(self, index: int, ended: Ended) -> None:
        """Send request `index`."""
        task = asyncio.get_running_loop().create_task(self._send(index, ended))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Close the pool, so that sidecars log connections that they treat as TCP."""
        for task in self._tasks:
            task.cancel()
        self._pool.close()

    async def _send(self, index: int, ended: Ended) -> None:
        plan = self._plan
        request = plan.requests[index % len(plan.requests)]
        marks = [mark for mark in plan.marks_of(index).split(",") if mark]
        call = Call.of(self._network, plan.caller, request, plan.name(index), marks, self._pool)
        try:
            reply = await once(call)
        except Exception as exc:  # noqa: BLE001 - the load must end, and say why
            ended(index, exc)
        else:
            ended(index, reply)
