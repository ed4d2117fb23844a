from __future__ import annotations

import itertools
import time

from meshtest.waiting import settled


def test_it_returns_what_stays_the_same() -> None:
    seen = iter([1, 2, 3, *itertools.repeat(4, 1000)])
    assert settled(lambda: next(seen), 5.0, still=0.05) == 4


def test_it_gives_up_on_what_never_rests() -> None:
    began, numbers = time.monotonic(), itertools.count()
    assert settled(lambda: next(numbers), 0.1, still=0.05) > 1
    assert time.monotonic() - began < 2.0
