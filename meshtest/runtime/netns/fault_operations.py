"""What the supervisor can be asked to spoil: packets and names."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from meshtest.runtime.netns import delaying, links, losing, netlink, nft
from meshtest.runtime.netns.pending import Pending
from meshtest.runtime.netns.table import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from meshtest.runtime.netns.losing import Spot
    from meshtest.runtime.netns.netlink import Message
    from meshtest.runtime.netns.pending import Answer, Request
    from meshtest.runtime.netns.site import Pod, Site

T = TypeVar("T")


class FaultOperations:
    """The faults of a sandbox's network, by the names that they were given."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lost: dict[str, dict[Spot | str, Pod | None]] = {}
        """Fault -> the spots that hold a chain of it, and the pods they are in (None: the router)."""
        self._delayed: dict[str, list[Pod]] = {}
        self.operations: Mapping[str, Callable[[Request], Pending]] = {
            "lose": self._lose,
            "lost": self._count,
            "restore": self._restore,
            "delay": self._delay,
            "delayed": self._count_delayed,
            "undelay": self._undelay,
            "misname": self._misname,
            "misnamed": self._misnamed,
            "rules": self._rules,
        }

    def _lose(self, request: Request) -> Pending:
        name = request["name"]
        if name in self._lost:
            raise Refused(f"packets are lost by the name of {name} already")
        placed = self._lost.setdefault(name, {})
        for where, rules in losing.spots(request["lost"]).items():
            pod = self._pod_at(where) if isinstance(where, str) else None
            placed[where] = pod  # before it is done: what is half done is taken away too
            self._commit(pod, losing.messages(name, where, rules))
        return Pending(dict)

    def _count(self, request: Request) -> Pending:
        packets = self._dropped(request["name"])
        return Pending(lambda: {"packets": packets})

    def _restore(self, request: Request) -> Pending:
        name = request["name"]
        packets = self._dropped(name)
        for where, pod in self._lost.pop(name, {}).items():
            if self._lives(pod):
                with contextlib.suppress(FileNotFoundError):  # it was never made: injecting failed before
                    self._commit(pod, losing.removal(name, where))
        return Pending(lambda: {"packets": packets})

    def _dropped(self, name: str) -> int:
        total = 0
        for where, pod in self._lost.get(name, {}).items():
            if self._lives(pod):
                total += self._within(pod, partial(losing.dropped, losing.chain_name(name, where)))
        return total

    def _delay(self, request: Request) -> Pending:
        pods = self._delayed.setdefault(request["name"], [])
        for ip in request["addresses"]:
            pod = self._pod_at(ip)
            pods.append(pod)  # before it is done: what is half done is taken away too
            for where, device in _ends(pod):
                self._queue(where, delaying.queue(device, request["delay"], request["jitter"]))
        return Pending(dict)

    def _count_delayed(self, request: Request) -> Pending:
        total = 0
        for pod in filter(self._lives, self._delayed.get(request["name"], [])):
            total += sum(self._within(at, partial(delaying.held_up, device)) for at, device in _ends(pod))
        return Pending(lambda: {"packets": total})

    def _undelay(self, request: Request) -> Pending:
        counted = self._count_delayed(request)
        for pod in filter(self._lives, self._delayed.pop(request["name"], [])):
            for where, device in _ends(pod):
                with contextlib.suppress(OSError):  # it was never made: injecting failed before
                    self._queue(where, delaying.removal(device))
        return counted

    def _queue(self, where: Pod | None, message: Message) -> None:
        def send() -> None:
            with netlink.Netlink(netlink.ROUTE) as route:
                route.send([message])

        self._within(where, send)

    def _misname(self, request: Request) -> Pending:
        name, fault = request["name"], request["fault"]
        self._site.name_faults.pop(name, None)
        if fault is not None:
            self._site.name_faults[name] = {"id": name, **fault}
            self._site.name_hits[name] = 0
        return self._misnamed(request)

    def _misnamed(self, request: Request) -> Pending:
        site, name = self._site, request["name"]
        site.tell_name_faults()

        def done() -> Answer | None:
            return {"queries": site.name_hits.get(name, 0)} if site.names_known else None

        return Pending(done)

    def _rules(self, _: Request) -> Pending:
        """Every rule of the router and of each pod, to compare."""
        found = {"": losing.everything()}
        for key, pod in self._site.pods.items():
            found[key] = self._within(pod, losing.everything)
        return Pending(lambda: {"rules": found})

    def _pod_at(self, ip: str) -> Pod:
        for pod in self._site.pods.values():
            if pod.place.spec.ip == ip:
                return pod
        raise Refused(f"there is no pod at {ip}")

    def _lives(self, pod: Pod | None) -> bool:
        return pod is None or self._site.pods.get(pod.place.spec.key) is pod

    def _within(self, pod: Pod | None, act: Callable[[], T]) -> T:
        if pod is None:
            return act()
        with pod.place.inside(self._site.home):
            return act()

    def _commit(self, pod: Pod | None, messages: Sequence[Message]) -> None:
        self._within(pod, partial(nft.commit, messages))


def _ends(pod: Pod) -> tuple[tuple[Pod | None, int], ...]:
    """The two ends of a pod's link, each with the namespace it is in (None: the router)."""
    return (pod, links.ETH0), (None, links.veth_index(pod.place.number))
