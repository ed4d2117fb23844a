from __future__ import annotations

import threading
import time

import pytest

from meshtest.live.timing import Clock


def test_things_are_done_at_their_time_and_in_their_order() -> None:
    clock, ready = Clock(), threading.Event()
    done: list[tuple[str, float]] = []
    began = time.time()

    def note(name: str) -> None:
        done.append((name, time.time() - began))

    clock.start(began, [(0.10, lambda: note("late")), (0.05, lambda: note("one")), (0.05, lambda: note("two")),
                        (0.10, ready.set)])  # fmt: skip
    assert ready.wait(2)
    clock.stop()
    assert [name for name, _ in done] == ["one", "two", "late"]
    assert all(at >= due for (_, at), due in zip(done, (0.05, 0.05, 0.10), strict=True))


def test_after_stop_nothing_is_done() -> None:
    clock = Clock()
    done: list[int] = []
    clock.start(time.time(), [(60.0, lambda: done.append(1))])
    clock.stop()
    clock.stop()
    assert done == []


def test_what_failed_is_raised_where_it_is_stopped_and_ends_the_rest() -> None:
    clock, failed = Clock(), threading.Event()
    done: list[int] = []

    def fail() -> None:
        failed.set()
        raise ZeroDivisionError

    clock.start(time.time(), [(0.0, fail), (0.0, lambda: done.append(1))])
    assert failed.wait(2)
    with pytest.raises(ZeroDivisionError):
        clock.stop()
    assert done == []
    clock.stop()
