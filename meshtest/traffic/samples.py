"""Which requests of a load a fault hits: an exact share, chosen by a seed. Pure."""

from __future__ import annotations

import random


def plan_faults(
    requests: int, percentage: float = 100.0, *, seed: int, first_n: int | None = None, before: int = 0
) -> tuple[int, ...]:
    """The positions of the requests that are hit, in order.

    Args:
        requests: how many there are.
        percentage: of them; 10 of 1000 are exactly 100.
        seed: the same seed chooses the same requests.
        first_n: at most this many, the first of those chosen; then the fault is over.
        before: how many there were earlier; the share is exact over all of them, so that 30 % of requests that
            are sent one by one are hit, too.
    """
    if not 0.0 <= percentage <= 100.0:
        raise ValueError(f"a percentage is between 0 and 100, not {percentage:g}")
    number = _share(before + requests, percentage) - _share(before, percentage)
    chosen = range(requests) if number >= requests else random.Random(seed).sample(range(requests), number)  # noqa: S311
    return tuple(sorted(chosen)[:first_n])


def _share(requests: int, percentage: float) -> int:
    # Half a request rounds up; the epsilon undoes what binary fractions take away (1000 * 0.35 / 100).
    return int(requests * percentage / 100 + 0.5 + 1e-9)
