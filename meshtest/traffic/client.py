"""pytest's side of the driver: what is sent goes out as frames, what became of it comes back as exchanges."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshtest.errors import ScenarioError
from meshtest.traffic.backend import parse_backend
from meshtest.traffic.codec import request_to_dict
from meshtest.traffic.columns import unpack
from meshtest.traffic.headers import marked_faults
from meshtest.traffic.model import Exchange
from meshtest.traffic.target import target_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshtest.traffic.model import Request
    from meshtest.wire import Asking, Frame

    Mark = tuple[str, Sequence[int]]
    """A baggage member, and the positions of the requests that carry it."""

_MARGIN = 30.0
"""Seconds that the driver may take besides what its requests may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Many requests of one caller: `count` of them `concurrency` at once, or at `rate` per second."""

    caller: str
    requests: Sequence[Request]
    """Sent in turn."""
    count: int | None = None
    concurrency: int = 1
    rate: float | None = None
    duration: float | None = None
    """Seconds; with `rate`, in place of `count`."""
    start_at: float | None = None
    """Epoch seconds; None: at once."""
    marks: Sequence[Mark] = ()

    @property
    def total(self) -> int:
        """How many requests that is."""
        if self.count is not None:
            return self.count
        if self.rate is None or self.duration is None:
            raise ScenarioError(
                "how many requests?", key="traffic", expected="requests, or rate and duration"
            )
        return max(1, round(self.rate * self.duration))

    @property
    def longest(self) -> float:
        """Seconds after which every request has ended, were each as slow as it may be."""
        slowest = max(request.timeout for request in self.requests)
        paced = self.total / self.rate if self.rate else slowest * -(-self.total // max(1, self.concurrency))
        return paced + slowest + _MARGIN


class TrafficDriver:
    """Sends requests through the driver process; `run` makes the exchange ids unique to this mesh."""

    def __init__(self, channel: Asking, *, run: str) -> None:
        self._channel = channel
        self._prefix = f"mt-{run}-"
        self._sent = 0
        self._lock = threading.Lock()

    def prepare(self, caller: str) -> None:
        """Return when a request of this caller can go out at once: some drivers start a process for it first."""
        self._channel.call("here", timeout=_MARGIN, caller=caller)

    def request(self, caller: str, request: Request, *, marks: Sequence[str] = ()) -> Exchange:
        """Send one request and wait for its end."""
        target_of(request)  # a wrong URL is said here, where the user's code is
        name = f"{self._prefix}{self._number(1)}"
        answer = self._channel.call(
            "request",
            timeout=request.timeout + _MARGIN,
            caller=caller,
            request=request_to_dict(request, secrets=True),
            exchange=name,
            marks=list(marks),
        )
        _, fields = next(unpack(answer.header, answer.payload))
        return _exchange(fields, name, caller, request, marks)

    def send(self, traffic: Traffic) -> tuple[Exchange, ...]:
        """Send many requests and wait until the last one has ended."""
        return self.finish(self.start(traffic))

    def start(self, traffic: Traffic) -> Sending:
        """Send many requests and return at once; `finish` waits for the exchanges."""
        for request in traffic.requests:
            target_of(request)
        first = self._number(traffic.total)
        name = f"load-{first}"
        ticket = self._channel.start(
            "load",
            name=name,
            caller=traffic.caller,
            requests=[request_to_dict(request, secrets=True) for request in traffic.requests],
            count=traffic.total,
            prefix=self._prefix,
            first=first,
            concurrency=traffic.concurrency,
            rate=traffic.rate,
            start_at=traffic.start_at,
            marks=[[member, list(positions)] for member, positions in traffic.marks],
        )
        return Sending(traffic=traffic, first=first, name=name, ticket=ticket)

    def finish(self, sending: Sending) -> tuple[Exchange, ...]:
        """The exchanges of a load in the order of their requests; of a cancelled one, those sent."""
        answer = self._channel.result(sending.ticket, timeout=sending.traffic.longest)
        return tuple(self._exchanges(sending, answer))

    def cancel(self, sending: Sending) -> None:
        """Send nothing more of a load; what is under way ends by itself."""
        self._channel.call("cancel", timeout=_MARGIN, name=sending.name)

    def dial(self, caller: str, address: str, port: int, *, timeout: float = 5.0) -> str:
        """Connect and close; the text of the error, empty if there was none."""
        answer = self._channel.call(
            "dial", timeout=timeout + _MARGIN, caller=caller, address=address, port=port, within=timeout
        )
        return str(answer.header["problem"])

    def _number(self, count: int) -> int:
        with self._lock:
            first = self._sent
            self._sent += count
        return first

    def _exchanges(self, sending: Sending, answer: Frame) -> list[Exchange]:
        traffic = sending.traffic
        marks: dict[int, list[str]] = {}
        for member, positions in traffic.marks:
            for position in positions:
                marks.setdefault(position, []).append(member)
        return [
            _exchange(
                fields,
                f"{self._prefix}{sending.first + position}",
                traffic.caller,
                traffic.requests[position % len(traffic.requests)],
                marks.get(position, ()),
            )
            for position, fields in unpack(answer.header, answer.payload)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A load that is under way."""

    traffic: Traffic
    first: int
    name: str
    ticket: int


def _exchange(
    fields: dict[str, Any], name: str, caller: str, request: Request, marks: Sequence[str]
) -> Exchange:
    backend = parse_backend(fields["body"], fields["messages"], fields["headers"])
    faults = marked_faults(marks)
    return Exchange(id=name, caller=caller, request=request, faults=faults, backend=backend, **fields)
