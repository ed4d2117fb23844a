"""Waiting inside the control plane's event loop: for a condition that some event makes true."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Signal:
    """Wakes every coroutine that waits for a condition, whenever something may have changed."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        """Let everybody who waits look again."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    async def until(self, condition: Callable[[], bool], deadline: float) -> bool:
        """Whether `condition` came true before `deadline` (loop's clock); what it raises goes through."""
        loop = asyncio.get_running_loop()
        while not condition():
            if deadline <= loop.time():
                return False
            future = loop.create_future()
            self._waiting.add(future)
            try:
                # Not wait_for: until Python 3.12 it swallows a cancellation that comes with the result.
                async with asyncio.timeout_at(deadline):
                    await future
            except TimeoutError:
                return condition()
            finally:
                self._waiting.discard(future)
        return True
