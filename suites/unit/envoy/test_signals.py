"""Waiting in the control plane: for a condition, until a deadline, or until whoever waits is let go."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from meshtest.envoy.signals import Signal

if TYPE_CHECKING:
    from collections.abc import Callable


async def _waiting(signal: Signal, condition: Callable[[], bool], within: float = 60.0) -> asyncio.Task[bool]:
    deadline = asyncio.get_running_loop().time() + within
    task = asyncio.create_task(signal.until(condition, deadline))
    await asyncio.sleep(0)
    return task


def test_a_condition_that_comes_true_is_noticed() -> None:
    async def run() -> bool:
        signal, facts = Signal(), list[int]()
        task = await _waiting(signal, lambda: bool(facts))
        signal.notify()
        await asyncio.sleep(0)
        assert not task.done()
        facts.append(1)
        signal.notify()
        return await task

    assert asyncio.run(run())


def test_a_deadline_ends_it() -> None:
    async def run() -> bool:
        return await (await _waiting(Signal(), lambda: False, 0.01))

    assert not asyncio.run(run())


def test_whoever_is_let_go_just_as_something_happens_is_let_go() -> None:
    async def run() -> None:
        signal = Signal()
        task = await _waiting(signal, lambda: False, 0.2)
        signal.notify()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
