"""Access logs as they come in, and the joining of exchanges with the lines about them.

runtime thread ── feed(pod, bytes) ──► AccessLog ◄── join(exchanges) ── waits until nothing is missing
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from meshtest.traffic.accesslog import exchange_id, hop_of
from meshtest.traffic.evidence import Lack, gather, missing
from meshtest.traffic.places import Pods
from meshtest.traffic.renamed import Renamed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from meshtest.mesh.model import Pod
    from meshtest.traffic.model import Exchange, Hop
    from meshtest.traffic.places import Line, Services

_GRACE = 0.15
"""Seconds without news after which lines that need not exist are given up."""

_SEARCHED = 100
"""Renamed connections are looked for on behalf of so many exchanges at a time: they are rare."""


class AccessLog:
    """Every line that the sidecars wrote: fed from any thread, parsed by whoever asks."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._raw: list[tuple[str, bytes]] = []
        self._rest: dict[str, bytes] = {}
        self._fed = 0
        self._by_id: defaultdict[str, list[Line]] = defaultdict(list)
        self._by_address: defaultdict[str, list[Line]] = defaultdict(list)
        self._callers: dict[str, Exchange] = {}
        self.garbled = 0
        """Lines that were no JSON object."""

    def feed(self, pod: str, data: bytes) -> None:
        """Take bytes that the Envoy of a pod wrote; lines may come in pieces."""
        with self._news:
            *lines, rest = (self._rest.get(pod, b"") + data).split(b"\n")
            self._rest[pod] = rest
            if lines:
                self._raw.extend((pod, line) for line in lines)
                self._fed += len(lines)
                self._news.notify_all()

    def absorb(self) -> int:
        """Parse what has come in; returns how many lines have come in altogether."""
        with self._news:
            raw, self._raw = self._raw, []
            fed = self._fed
        for pod, text in raw:
            self._index(pod, text)
        return fed

    def wait(self, fed: int, timeout: float) -> bool:
        """Wait until more lines than `fed` have come in; False if none did in `timeout` seconds."""
        with self._news:
            return self._news.wait_for(lambda: self._fed > fed, max(0.0, timeout))

    def by_id(self, exchange: str) -> Sequence[Line]:
        """Lines that name an exchange."""
        return self._by_id.get(exchange, ())

    def by_address(self, address: str) -> Sequence[Line]:
        """Lines that name no exchange, by the `ip:port` that connected."""
        return self._by_address.get(address, ())

    def connections(self) -> Iterator[Line]:
        """Lines that are found by the address that connected."""
        return chain.from_iterable(self._by_address.values())

    def requests(self) -> Iterator[Line]:
        """Lines that name an exchange."""
        return chain.from_iterable(self._by_id.values())

    def expect(self, exchanges: Iterable[Exchange]) -> None:
        """Take note of who calls from where."""
        self._callers.update((one.local_address, one) for one in exchanges)

    def caller(self, address: str) -> Exchange | None:
        """The latest exchange that went out from there."""
        return self._callers.get(address)

    def clear(self) -> None:
        """Forget every line."""
        self.absorb()
        self._callers.clear()
        self._by_id.clear()
        self._by_address.clear()

    def _index(self, pod: str, text: bytes) -> None:
        if not text.strip():
            return
        try:
            line: Any = json.loads(text)
        except ValueError:
            line = None
        if not isinstance(line, dict):
            self.garbled += 1
            return
        line.setdefault("pod", pod)
        line.setdefault("side", "")
        name = exchange_id(line)
        if name is not None:
            self._by_id[name].append(line)
        if name is None or line.get("layer") == "tcp":
            address = line.get("downstream_direct_remote") or line.get("downstream_remote")
            if address:
                self._by_address[address].append(line)


def join(  # noqa: PLR0913 - each is something that is known of the mesh besides
    exchanges: Iterable[Exchange],
    log: AccessLog,
    pods: Iterable[Pod],
    *,
    timeout: float,
    grace: float = _GRACE,
    silent: Iterable[str] = (),
    detours: Mapping[str, str] | None = None,
    services: Services | None = None,
    calm: bool = False,
) -> tuple[Exchange, ...]:
    """The exchanges with their hops: once every line that must exist is there, or after `timeout` seconds.

    Args:
        exchanges: as the driver gives them.
        log: what the sidecars write.
        pods: those of the mesh; they tell whose connections are intercepted.
        timeout: seconds; an exchange with lines missing then is not `complete`.
        grace: seconds without news after which lines that need not exist are given up, and others looked for.
        silent: pods (`ns/name`) whose lines may be lost, since their sidecar was killed.
        services: address that kube-proxy answers -> port -> pods behind it.
        calm: no fault is or was about, so that who was connected to must have logged it.
        detours: `ip:port` that sidecars send to -> `ip:port` of the pod behind it, where the two differ.
    """
    joining = _Joining(exchanges, log, Pods(pods, silent, detours, services, calm=calm))
    deadline = time.monotonic() + timeout
    while True:
        fed = log.absorb()
        joining.look()
        left = deadline - time.monotonic()
        if not joining.pending or left <= 0:
            return joining.end()
        if not log.wait(fed, min(left, grace)):
            joining.give_up()


class _Joining:
    """The state of one `join`."""

    def __init__(self, exchanges: Iterable[Exchange], log: AccessLog, pods: Pods) -> None:
        self._exchanges = list(exchanges)
        log.expect(self._exchanges)
        self._log = Renamed(log)
        self._pods = pods
        self.pending = dict.fromkeys(range(len(self._exchanges)))
        self.undecided: set[int] = set()
        """Those that lack only lines which need not exist."""

    def look(self) -> None:
        """Settle every exchange that lacks nothing."""
        for index in list(self.pending):
            exchange = self._exchanges[index]
            found = gather(exchange, self._log)
            lack = missing(exchange, found, self._pods)
            if lack is Lack.NOTHING:
                self._settle(index, found, complete=True)
            elif lack is Lack.MAY:
                self.undecided.add(index)

    def give_up(self) -> None:
        """Nothing more has come: look about, or else settle those that lack only lines which need not exist."""
        some = [self._exchanges[index] for index in islice(self.pending, _SEARCHED)]
        if self._log.search(some, self._pods):
            return
        for index in self.undecided & self.pending.keys():
            self._settle(index, gather(self._exchanges[index], self._log), complete=True)
        self.undecided.clear()

    def end(self) -> tuple[Exchange, ...]:
        """Settle the rest as it is."""
        for index in list(self.pending):
            exchange = self._exchanges[index]
            found = gather(exchange, self._log)
            lack = missing(exchange, found, self._pods)
            self._settle(index, found, complete=lack is not Lack.MUST)
        return tuple(self._exchanges)

    def _settle(self, index: int, found: Sequence[Line], *, complete: bool) -> None:
        del self.pending[index]
        self.undecided.discard(index)
        hops = sorted(map(hop_of, found), key=_order)
        self._exchanges[index] = replace(self._exchanges[index], hops=tuple(hops), complete=complete)


def _order(hop: Hop) -> tuple[float, bool]:
    return hop.start, hop.side == "inbound"
