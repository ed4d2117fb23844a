"""Many requests: a closed loop with a fixed number under way, or an open loop at a fixed rate.

            ┌─ closed: the next one when one has ended ─┐
    Load ───┤                                           ├──► Sender.launch(i) ──► ended(i, reply) ──► Columns
            └─ open: at start + i / rate, come what may ┘

Latency counts from the intended start, so an open loop that falls behind shows it (coordinated omission).
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from meshtest.traffic.alarm import Alarm
from meshtest.traffic.columns import Columns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from meshtest.traffic.model import Request
    from meshtest.traffic.reply import Reply

    Ended = Callable[[int, Reply | Exception], None]


class Sender(Protocol):
    """Sends single requests of a load, each with its id and marks."""

    def launch(self, index: int, ended: Ended) -> None:
        """Send request `index`; `ended` is called once, however it ends; with an exception if the driver failed."""

    def close(self) -> None:
        """Close every connection that is still open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """What a load sends, and when. `rate` and not `concurrency` makes it an open loop."""

    caller: str
    requests: Sequence[Request]
    """Sent in turn."""
    count: int
    prefix: str
    """Ids are the prefix and a number."""
    first: int = 0
    concurrency: int = 1
    rate: float | None = None
    """1/s."""
    start_at: float | None = None
    """Epoch seconds; None: at once."""
    marks: Mapping[int, str] | None = None
    """Position -> baggage members, each with a comma before it."""

    def name(self, index: int) -> str:
        """The exchange id of a request."""
        return f"{self.prefix}{self.first + index}"

    def marks_of(self, index: int) -> str:
        """The marks of a request."""
        return self.marks.get(index, "") if self.marks else ""


class Load:
    """One load as it runs."""

    MOST_AT_ONCE = 2048
    """An open loop holds back beyond this (and says so by `sent_late`) rather than run out of descriptors."""

    def __init__(self, plan: LoadPlan, sender: Sender) -> None:
        self._plan = plan
        self._sender = sender
        self._columns = Columns()
        self._intended = [0.0] * plan.count
        self._sent = [0.0] * plan.count
        self._next = 0
        self._active = 0
        self._held: deque[int] = deque()
        self._cancelled = False
        self._all: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._epoch = time.time() - time.perf_counter()
        self._alarm: Alarm | None = None
        self._begin = self._step = 0.0

    async def run(self) -> tuple[dict[str, Any], bytes]:
        """Send everything and return the packed results."""
        collecting = gc.isenabled()
        gc.disable()  # a collection in the middle of a load is a latency of ours, not of the mesh
        try:
            if self._plan.start_at is not None:
                await asyncio.sleep(max(0.0, self._plan.start_at - time.time()))
            if self._plan.rate is None:
                self._pump()
            else:
                at = self._plan.start_at  # who comes late to it catches up: faults keep to this time, too
                self._begin = time.perf_counter() if at is None else at - self._epoch
                self._step = 1.0 / self._plan.rate
                self._alarm = Alarm(self._tick)
                self._tick()
            self._settle()
            await self._all
        finally:
            if collecting:
                gc.enable()
            if self._alarm is not None:
                self._alarm.close()
            self._sender.close()
        return self._columns.pack()

    def cancel(self) -> None:
        """Send nothing more; what is under way ends by itself."""
        self._cancelled = True
        self._held.clear()
        self._settle()

    def _pump(self) -> None:
        while self._active < self._plan.concurrency and self._next < self._plan.count and not self._cancelled:
            self._intended[self._next] = time.perf_counter()
            self._launch(self._take())

    def _tick(self) -> None:
        """Send what is due, and come back for the next one."""
        if self._cancelled:
            return
        now = time.perf_counter()
        while self._next < self._plan.count and self._begin + self._next * self._step <= now:
            index = self._take()
            self._intended[index] = self._begin + index * self._step
            if self._active < self.MOST_AT_ONCE:
                self._launch(index)
            else:
                self._held.append(index)
        if self._next < self._plan.count and self._alarm is not None:
            self._alarm.set(self._begin + self._next * self._step - time.perf_counter())

    def _take(self) -> int:
        index, self._next = self._next, self._next + 1
        return index

    def _launch(self, index: int) -> None:
        self._active += 1
        self._sent[index] = time.perf_counter()
        self._sender.launch(index, self._ended)

    def _ended(self, index: int, reply: Reply | Exception) -> None:
        if isinstance(reply, Exception):
            if not self._all.done():
                self._all.set_exception(reply)
            return
        now = time.perf_counter()
        intended = self._intended[index]
        self._columns.add(
            index,
            reply,
            started=self._epoch + intended,
            latency=now - intended,
            late=self._sent[index] - intended,
        )
        self._active -= 1
        if self._held:
            self._launch(self._held.popleft())
        elif self._plan.rate is None:
            self._pump()
        self._settle()

    def _settle(self) -> None:
        over = self._cancelled or self._next >= self._plan.count
        if over and not self._active and not self._held and not self._all.done():
            self._all.set_result(None)
