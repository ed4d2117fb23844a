"""Sends the requests of a mesh's workloads, has its faults ride along, and joins what the sidecars logged."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from meshtest.errors import RuntimeFailure, ScenarioError
from meshtest.faults.base import Choosing
from meshtest.live.arguments import amount
from meshtest.live.requests import protocol_of
from meshtest.traffic.client import Traffic, TrafficDriver
from meshtest.traffic.history import join
from meshtest.traffic.model import Request
from meshtest.traffic.record import History
from meshtest.traffic.samples import plan_faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from meshtest.live.active import Active
    from meshtest.live.faulting import ActiveFaults
    from meshtest.mesh.model import Backend, Pod
    from meshtest.traffic.history import AccessLog
    from meshtest.traffic.model import Exchange
    from meshtest.waiting import Timeouts
    from meshtest.wire import Asking

_LEAD = 0.02
"""Seconds in which the driver is told of a load, so that its first request and the clock of the faults agree."""
_ROUNDING = 1e-9
"""Undoes what binary fractions add to seconds times rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How many requests, and how fast."""

    requests: int | None = None
    concurrency: int = 1
    rate: float | None = None
    """Per second: an open loop."""
    duration: float | None = None
    """Seconds, with `rate`."""

    @property
    def total(self) -> int:
        """How many altogether."""
        amount(0 if self.concurrency is None else self.concurrency, "concurrency", whole=True)
        amount(self.rate, "rate")
        amount(self.duration, "duration")
        amount(self.requests, "requests", whole=True)
        if self.rate is not None and self.duration is not None:
            return max(1, round(self.rate * self.duration))
        if self.requests is None:
            raise ScenarioError(
                "how many requests?", key="requests", expected="requests, or rate and duration"
            )
        return self.requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What requests may have met on their way."""

    pods: Iterable[Pod]
    services: Mapping[str, Mapping[int, Sequence[Backend]]]
    """Address that kube-proxy answers -> port -> pods behind it."""
    steady: bool = True
    """Nothing was changed meanwhile."""


class Sender:
    """One mesh's traffic."""

    def __init__(self, driver: Asking, log: AccessLog, timeouts: Timeouts, seed: int) -> None:
        self._driver = TrafficDriver(driver, run=secrets.token_hex(3))
        self._log = log
        self._timeouts = timeouts
        self._seed = seed
        self._sent = 0

    def begin(self, seed: int) -> None:
        """Choose anew, from this seed."""
        self._seed, self._sent = seed, 0

    def send(
        self,
        around: Callable[[], Around],
        caller: Pod,
        requests: Sequence[Request],
        faults: ActiveFaults,
        pace: Pace,
    ) -> History:
        """Send, wait for the end and for every line of evidence; `around` is asked when all has been sent."""
        total = pace.total
        marks = self._marks(caller, requests, faults, pace)
        self._sent += total
        if faults.timed:
            self._driver.prepare(caller.key)  # else the clock of the faults runs ahead of the first request
        start_at = self._begin(faults, pace)
        since = time.time()
        exchanges: Sequence[Exchange]
        if total == 1 and not requests[0].reuse:
            exchanges = [self._driver.request(caller.key, requests[0], marks=[member for member, _ in marks])]
        else:
            exchanges = self._driver.send(
                Traffic(
                    caller=caller.key, requests=requests, count=total, concurrency=pace.concurrency, rate=pace.rate,
                    start_at=start_at, marks=marks,
                )
            )  # fmt: skip
        faults.check()
        met = around()
        joined = join(
            exchanges,
            self._log,
            met.pods,
            timeout=self._timeouts.evidence,
            silent=faults.silent(since),
            detours=faults.detours(since),
            services=met.services,
            calm=met.steady and not faults.windows,
        )
        faults.count(joined)
        return History(exchanges=tuple(joined), faults=faults.windows, seed=self._seed)

    def ask(self, pod: Pod, url: str, method: str = "GET") -> bytes:
        """What a pod's stand-in says of itself, asked from inside the pod; no part of the traffic."""
        request = Request(url=url, method=method, protocol=protocol_of(url, None))
        exchange = self._driver.request(pod.key, request)
        if exchange.status != 200:
            raise RuntimeFailure(
                f"the stand-in of {pod.key} does not answer: {exchange.status or exchange.outcome.value}"
            )
        return exchange.body

    def quietly(self, pod: Pod, request: Request) -> Exchange:
        """Send one request that is no part of the traffic: no fault meets it, no evidence is waited for."""
        return self._driver.request(pod.key, request)

    def dial(self, pod: Pod, address: str, port: int, timeout: float) -> str:
        """Open a connection from inside a pod; what was wrong, or nothing."""
        return self._driver.dial(pod.key, address, port, timeout=timeout)

    def _marks(
        self, caller: Pod, requests: Sequence[Request], faults: ActiveFaults, pace: Pace
    ) -> list[tuple[str, Sequence[int]]]:
        """What rides on which requests."""
        marks: list[tuple[str, Sequence[int]]] = []
        for number, fault in enumerate(fault for fault in faults.active if fault.spec.of_requests):
            seed = seed_of(self._seed, number, self._sent)
            positions = chosen(fault, caller.key, requests, pace, seed)
            fault.marked += len(positions)
            fault.seen += pace.total
            marks.extend((member, positions) for member in fault.injection.members if positions)
        return marks

    def _begin(self, faults: ActiveFaults, pace: Pace) -> float | None:
        """Start the clocks; the time at which traffic with a rate is to start, where faults come by the clock."""
        if not faults.timed:
            faults.begin_traffic(time.time(), pace.rate)
            return None
        start = time.time() + _LEAD
        faults.begin_traffic(start, pace.rate)
        return start if pace.rate is not None else None


def seed_of(seed: int, number: int, sent: int) -> int:
    """What a fault of requests draws from: its `number` among those in force, and the requests `sent` before."""
    return seed + 7919 * number + 104729 * sent


def chosen(fault: Active, caller: str, requests: Sequence[Request], pace: Pace, seed: int) -> Sequence[int]:
    """Which requests are to meet a fault: an exact share of those it is about, chosen by the seed."""
    spec, about = fault.spec, fault.injection
    meant = [not isinstance(about, Choosing) or about.may_meet(each, caller) for each in requests]
    eligible = [index for index in _span(fault, pace) if meant[index % len(requests)]]
    left = None if spec.first is None else max(0, spec.first - fault.marked)
    found = plan_faults(len(eligible), spec.percentage, seed=seed, first_n=left, before=fault.eligible)
    fault.eligible += len(eligible)
    return [eligible[index] for index in found]


def _span(fault: Active, pace: Pace) -> range:
    """The requests in a fault's time."""
    spec, total = fault.spec, pace.total
    start, end = 0, total if spec.until is None else max(0, min(total, spec.until - fault.seen))
    if spec.during is None:
        return range(start, end)
    if pace.rate is None:
        raise ScenarioError(
            "a fault of requests in a window of time needs traffic at a rate",
            location=spec.location,
            key=f"{spec.kind}.during",
            expected="rate: and for: in traffic",
        )
    passed = 0.0 if fault.clock.began is None else time.time() - fault.clock.began
    start = max(start, ceil((spec.during.at - passed) * pace.rate - _ROUNDING))
    if spec.during.lasts is not None:
        end = min(end, ceil((spec.during.at + spec.during.lasts - passed) * pace.rate - _ROUNDING))
    return range(start, max(start, end))
