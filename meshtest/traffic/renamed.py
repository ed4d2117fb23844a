"""Connections that the kernel gave another port on their way, found by what is left over. Pure.

    caller, from port 40124 ─► redirect ─► sidecar, which is told of port 1027: in its log nobody has called from 40124

A redirect makes connections to different addresses alike, and where two from one port live at a time, the kernel
renames the later one (nf_nat's unique tuples). It then is the one connection at its place, from the caller's address
and in its time, that nobody else has opened; where there are several, or several look for it, none is taken.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING

from meshtest.traffic.evidence import coincide, first_side, gather, overlaps
from meshtest.traffic.places import split

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Protocol

    from meshtest.mesh.model import Pod
    from meshtest.traffic.evidence import Lines
    from meshtest.traffic.model import Exchange
    from meshtest.traffic.places import Line, Place, Pods

    class AllLines(Lines, Protocol):
        """Lines that can be gone through, too."""

        def connections(self) -> Iterable[Line]:
            """Every line that is found by the address that connected."""

        def requests(self) -> Iterable[Line]:
            """Every line that names an exchange."""

        def caller(self, address: str) -> Exchange | None:
            """The latest exchange that went out from there."""


class Renamed:
    """The lines of a log, those of renamed connections under the address that their callers know."""

    def __init__(self, lines: AllLines) -> None:
        self._lines = lines
        self._names: dict[str, str] = {}

    def by_id(self, exchange: str) -> Sequence[Line]:
        """Lines that name an exchange."""
        return self._lines.by_id(exchange)

    def by_address(self, address: str) -> Sequence[Line]:
        """TCP lines by the address that connected, as it knows itself."""
        found = self._lines.by_address(address)
        return [*found, *self._lines.by_address(self._names[address])] if address in self._names else found

    def search(self, exchanges: Sequence[Exchange], pods: Pods) -> bool:
        """Look for what these exchanges lack; whether anything was found."""
        wanted = [
            (exchange, address, places)
            for exchange in exchanges
            for address, places in _unheard(exchange, self, pods)
            if address not in self._names
        ]
        if not wanted:
            return False
        free = self._free(exchanges)
        takers: defaultdict[str, list[str]] = defaultdict(list)
        for exchange, address, places in wanted:
            matching = {name for name, line in free if _fits(line, name, exchange, address, places)}
            for name in matching if len(matching) == 1 else ():
                takers[name].append(address)
        found = {own[0]: name for name, own in takers.items() if len(own) == 1}
        self._names |= found
        return bool(found)

    def _free(self, exchanges: Sequence[Exchange]) -> list[tuple[str, Line]]:
        """The connections in the time of these exchanges that nobody is known to have opened."""
        lines = [line for line in self._lines.connections() if any(overlaps(line, one) for one in exchanges)]
        taken = set(self._names.values())
        openers: defaultdict[str, list[Line]] = defaultdict(list)
        for line in chain(lines, self._lines.requests()):
            openers[line.get("upstream_local") or ""].append(line)
        return [
            (name, line)
            for line in lines
            if (name := _downstream(line)) not in taken
            and not any(coincide(line, opener) for opener in openers.get(name, ()))
            and not self._called(name, line)
        ]

    def _called(self, address: str, line: Line) -> bool:
        """Whether an exchange is known that went out from there, so that it is its own connection."""
        caller = self._lines.caller(address)
        return caller is not None and overlaps(line, caller)


def _unheard(exchange: Exchange, lines: Lines, pods: Pods) -> Iterator[tuple[str, frozenset[Place]]]:
    """Connections that nobody has logged under their address, and where one of these places must have."""
    if not exchange.local_address:
        return
    found = gather(exchange, lines)
    heard = {(line["pod"], line["side"]) for line in found}
    for address, places in _opened(exchange, found, pods):
        if places and not places & heard:
            yield address, places


def _opened(exchange: Exchange, found: Iterable[Line], pods: Pods) -> Iterator[tuple[str, frozenset[Place]]]:
    """Every connection that is known of, by the address it comes from, with where it may have arrived."""
    caller = pods.caller(exchange)
    if caller is not None:
        yield exchange.local_address, frozenset({(caller.key, first_side(exchange))})
    else:
        yield (
            exchange.local_address,
            _arrival(pods.behind(exchange.remote_address), exchange.remote_address, pods),
        )
    for line in found:
        if line.get("upstream_local") and line["side"] != "inbound":
            yield line["upstream_local"], _arrival(pods.onward(line), line.get("upstream") or "", pods)


def _arrival(there: tuple[Pod, str] | None, address: str, pods: Pods) -> frozenset[Place]:
    if there is None:
        return pods.behind_service(address)
    pod, side = there
    return frozenset({(pod.key, side)})


def _fits(line: Line, name: str, exchange: Exchange, address: str, places: frozenset[Place]) -> bool:
    place = (line["pod"], line["side"])
    return place in places and split(name)[0] == split(address)[0] and overlaps(line, exchange)


def _downstream(line: Mapping[str, object]) -> str:
    return str(line.get("downstream_direct_remote") or line.get("downstream_remote") or "")
