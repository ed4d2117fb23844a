"""Packets that get lost and names that are wrong, in a sandbox of containers.

A packet is dropped where it comes in: at its destination, or, if it may go anywhere, at everybody but its source.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from meshtest.errors import RuntimeFailure
from meshtest.runtime.docker.inits import Held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from concurrent.futures import Executor

    from meshtest.runtime.base import Lost, NameFault
    from meshtest.runtime.netns import losing
    from meshtest.wire import Channel

_TIMEOUT = 20.0

Place = tuple[str, str]
"""Who owns a network namespace: a pod's key or a name of meshtest's own, and the container."""


def places_of(lost: Sequence[Lost], addresses: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """By the address where packets come in: what vanishes there."""
    found: dict[str, list[dict[str, Any]]] = {}
    everybody = list(addresses)
    for one in lost:
        where = [one.destination] if one.destination else [ip for ip in everybody if ip != one.source]
        for ip in where:
            found.setdefault(ip, []).append(asdict(one))
    return found


class PacketLoss:
    """The packet faults: armed by containers that wait for a word, in force once they have heard it."""

    def __init__(
        self,
        places: Callable[[], Mapping[str, Place]],
        hold: Callable[[str, Sequence[tuple[Place, Sequence[losing.Lost]]]], list[Held]],
        pool: Executor,
    ) -> None:
        self._places = places
        self._hold = hold
        self._pool = pool
        self._armed: dict[str, dict[Place, Held]] = {}
        self._lost: dict[str, dict[Place, Held]] = {}

    def arm(self, name: str, lost: Sequence[Lost]) -> None:
        """Get ready for a fault, so that it comes when its time does."""
        places = self._places()
        wanted = places_of(lost, places)
        unknown = sorted(set(wanted) - set(places))
        if unknown:
            raise RuntimeFailure(f"there is no pod at {unknown[0]}")
        asked = [(places[ip], rules) for ip, rules in wanted.items()]
        held = self._hold(name, asked)
        self._armed[name] = dict(zip((place for place, _ in asked), held, strict=True))

    def lose(self, name: str, lost: Sequence[Lost]) -> None:
        """Have packets vanish from now on."""
        if name in self._lost:
            raise RuntimeFailure(f"packets are lost by the name of {name} already")
        if name not in self._armed:
            self.arm(name, lost)
        # Noted before it is done: what is half done is taken away, too.
        self._lost[name] = self._armed.pop(name)
        list(self._pool.map(Held.lose, self._living(name)))

    def lost(self, name: str) -> int:
        """How many packets have vanished."""
        return sum(self._pool.map(Held.lost, self._living(name)))

    def restore(self, name: str) -> int:
        """Let packets through again; how many have vanished."""
        packets = sum(self._pool.map(Held.restore, self._living(name)))
        for held in self._lost.pop(name, {}).values():
            held.end()
        return packets

    def _living(self, name: str) -> list[Held]:
        living = set(self._places().values())
        return [held for place, held in self._lost.get(name, {}).items() if place in living]

    def close(self) -> None:
        """Let go of all of them."""
        for kept in (self._armed, self._lost):
            for placed in kept.values():
                for held in placed.values():
                    held.end()
            kept.clear()


class WrongNames:
    """What the resolver answers, and wrongly on purpose."""

    def __init__(self, resolver: Channel) -> None:
        self._resolver = resolver
        self._names: Mapping[str, Any] = {}
        self._faults: dict[str, dict[str, Any]] = {}
        self._hits: dict[str, int] = {}

    def set_network(self, network: Mapping[str, Any]) -> None:
        """Replace the names."""
        self._names = {key: network[key] for key in ("zone", "agents")}
        self.tell()

    def tell(self) -> None:
        """Tell the resolver everything: one that is started again knows nothing."""
        faults = list(self._faults.values())
        answer = self._resolver.call("zone", timeout=_TIMEOUT, faults=faults, **self._names)
        self._hits |= answer.header["hits"]

    def misname(self, name: str, fault: NameFault | None) -> None:
        """Have it answer wrongly, or rightly again."""
        self._faults.pop(name, None)
        if fault is not None:
            self._faults[name] = {"id": name, **asdict(fault)}
            self._hits[name] = 0
        self.tell()

    def misnamed(self, name: str) -> int:
        """How many queries have been answered so."""
        self.tell()
        return self._hits.get(name, 0)
