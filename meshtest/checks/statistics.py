"""Exact binomial acceptance: how many of n may be seen if the share is p, and what would be noticed.

A tail is summed from its largest term outwards, relative to it, so that probabilities far below the
precision of 1.0 keep their digits; lgamma gives the largest term (sound to n = 1e6 and beyond).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ALPHA = 1e-6
POWER = 0.99
MOST_SAMPLES = 10_000_000
NEGLIGIBLE = 1e-18


def log_probability(k: int, n: int, p: float) -> float:
    """The logarithm of P(X = k), X binomial(n, p)."""
    if not 0 <= k <= n:
        return -math.inf
    if p in (0.0, 1.0):
        return 0.0 if k == (n if p else 0) else -math.inf
    choose = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return choose + k * math.log(p) + (n - k) * math.log1p(-p)


def at_most(k: int, n: int, p: float) -> float:
    """P(X <= k)."""
    if k < 0:
        return 0.0
    if k >= n:
        return 1.0
    if k > n * p:
        return max(0.0, 1.0 - at_least(k + 1, n, p))
    return _sum(k, n, p, step=-1)


def at_least(k: int, n: int, p: float) -> float:
    """P(X >= k)."""
    if k <= 0:
        return 1.0
    if k > n:
        return 0.0
    if k < n * p:
        return max(0.0, 1.0 - at_most(k - 1, n, p))
    return _sum(k, n, p, step=1)


def _sum(k: int, n: int, p: float, *, step: int) -> float:
    """The tail that starts at k and falls from there on."""
    if p in (0.0, 1.0):
        return 1.0 if k == (n if p else 0) else 0.0
    first = log_probability(k, n, p)
    if first == -math.inf:
        return 0.0
    odds = p / (1 - p)
    total = term = 1.0
    while 0 <= k + step <= n and term > total * NEGLIGIBLE:
        ratio = (n - k) / (k + 1) * odds if step > 0 else k / (n - k + 1) / odds
        term *= ratio
        total += term
        k += step
    return min(1.0, math.exp(first + math.log(total)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The counts that are accepted, both ends included."""

    low: int
    high: int

    def __contains__(self, count: object) -> bool:
        return isinstance(count, int) and self.low <= count <= self.high


def window(n: int, p: float, alpha: float = ALPHA) -> Window:
    """The narrowest window that a true share p leaves with probability alpha / 2 at most on either side."""
    if n < 1 or not 0 <= p <= 1 or not 0 < alpha < 1:
        raise ValueError(f"no acceptance window for n={n}, p={p}, alpha={alpha}")
    half = alpha / 2
    low = _largest(lambda k: at_most(k - 1, n, p) <= half, 0, math.floor(n * p))
    high = n - _largest(lambda k: at_least(n - k + 1, n, p) <= half, 0, n - math.ceil(n * p))
    return Window(low=low, high=high)


def _largest(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The largest of low..high for which a falling predicate holds; it holds for `low`."""
    while low < high:
        middle = (low + high + 1) // 2
        if holds(middle):
            low = middle
        else:
            high = middle - 1
    return low


def power(n: int, p: float, detect: float, alpha: float = ALPHA) -> float:
    """The probability that a share `detect` away from p is noticed, on the side where it shows worse."""
    accepted = window(n, p, alpha)
    others = [p - detect, p + detect]
    real = [other for other in others if 0 <= other <= 1]
    if not real:
        return 1.0
    return min(at_most(accepted.low - 1, n, q) + at_least(accepted.high + 1, n, q) for q in real)


def sample_size(p: float, detect: float, *, alpha: float = ALPHA, wanted: float = POWER) -> int:
    """How many samples notice a difference of `detect` with probability `wanted`."""
    if not 0 < detect <= 1:
        raise ValueError(f"no sample shows a difference of {detect}")
    low, high = 0, 1
    while power(high, p, detect, alpha) < wanted:
        low, high = high, high * 2
        if high > MOST_SAMPLES:
            raise ValueError(f"a difference of {detect} from {p} needs more than {MOST_SAMPLES} samples")
    while high - low > 1:
        middle = (low + high) // 2
        if power(middle, p, detect, alpha) < wanted:
            low = middle
        else:
            high = middle
    return high


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """A count held against a share."""

    count: int
    n: int
    share: float
    accepted: Window
    alpha: float
    detect: float | None = None
    power: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the count is within the window."""
        return self.count in self.accepted

    def text(self) -> str:
        """`31% (62 of 200, accepted 38..85, power 0.98 for ±15%)`."""
        noticed = ""
        if self.detect is not None and self.power is not None:
            noticed = f", power {_power(self.power)} for ±{self.detect * 100:.3g}%"
        share = f"{self.count / self.n * 100:.4g}%"
        return (
            f"{share} ({self.count} of {self.n}, accepted {self.accepted.low}..{self.accepted.high}{noticed})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "count": self.count,
            "n": self.n,
            "share": self.count / self.n,
            "expected": self.share,
            "window": [self.accepted.low, self.accepted.high],
            "falseAlarm": self.alpha,
            "detect": self.detect,
            "power": self.power,
        }


def _power(value: float) -> str:
    return "> 0.999" if value > 0.999 else f"{value:.3f}"


def accept(
    count: int, n: int, share: float, *, alpha: float = ALPHA, detect: float | None = None
) -> Acceptance:
    """Judge whether `count` of n is what a true share gives."""
    return Acceptance(
        count=count,
        n=n,
        share=share,
        accepted=window(n, share, alpha),
        alpha=alpha,
        detect=detect,
        power=None if detect is None else power(n, share, detect, alpha),
    )


def accept_all(
    counts: Mapping[str, int],
    shares: Mapping[str, float],
    *,
    alpha: float = ALPHA,
    detect: float | None = None,
) -> dict[str, Acceptance]:
    """Judge several shares of the same samples; alpha is divided among them (Bonferroni)."""
    n = sum(counts.values())
    each = alpha / max(1, len(shares))
    return {
        name: accept(counts.get(name, 0), n, share, alpha=each, detect=detect)
        for name, share in shares.items()
    }


def samples_for(
    shares: Mapping[str, float], detect: float, *, alpha: float = ALPHA, wanted: float = POWER
) -> int:
    """How many samples notice a difference of `detect` in any of several shares."""
    each = alpha / max(1, len(shares))
    return max(sample_size(share, detect, alpha=each, wanted=wanted) for share in shares.values())


def percentile(samples: Sequence[float], q: float) -> float:
    """The nearest-rank percentile: a value that was measured, never one in between."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(round(q * len(ordered), 9)) - 1)]


def samples_needed(q: float) -> int:
    """How many samples a percentile needs to be more than the maximum: 100 for p99."""
    return 1 if q in (0.0, 1.0) else math.ceil(round(1 / (1 - q), 6))
