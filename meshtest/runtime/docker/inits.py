"""Short-lived containers that set or read the rules of a network namespace, the only ones with NET_ADMIN."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

from meshtest.errors import RuntimeFailure
from meshtest.runtime.docker import pod_rules
from meshtest.runtime.docker.container import Container
from meshtest.runtime.docker.streams import channel
from meshtest.runtime.netns import losing, netlink, nft

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from meshtest.runtime.docker.client import Daemon
    from meshtest.runtime.docker.containers import Shape
    from meshtest.runtime.netns.netlink import Message

_TIMEOUT = 60.0


class Hands:
    """An init container: does in a pod's network namespace what it is told to, until it is let go."""

    def __init__(self, daemon: Daemon, key: str, init: Container) -> None:
        self._daemon = daemon
        self._key = key
        self.container = self._init = init

    def start(self) -> None:
        """Start it."""
        init = self._init
        self._channel = channel(init.what, init.line, cause=self._daemon.lost)
        init.start()

    def commit(self, messages: Sequence[Message]) -> None:
        """Apply all messages or none."""
        batches = list(nft.transactions(messages))
        raw = [netlink.encode(batch) for batch in batches]
        refused = self._ask("commit", b"".join(raw), sizes=[len(one) for one in raw]).header["refused"]
        if refused is not None:
            batch, place, number = refused
            what = f"netlink refused {batches[batch][place].label}: {os.strerror(number)}"
            raise RuntimeFailure(f"the rules of {self._key} cannot be set: {what}")

    def dump(self, request: Message) -> Iterator[bytes]:
        """What the kernel lists in answer to a message."""
        return netlink.bodies(self._ask("dump", netlink.encode([request])).payload, request.label)

    def _ask(self, op: str, payload: bytes, **fields: Any) -> Any:
        try:
            return self._channel.call(op, payload, timeout=_TIMEOUT, **fields)
        except RuntimeFailure as exc:
            raise RuntimeFailure(
                f"the rules of {self._key} cannot be set: {exc}\n{self._init.report()}"
            ) from exc

    def end(self) -> None:
        """Let go of it: it ends with its standard input. What it did stays."""
        self._init.line.hang_up()

    def remove(self) -> None:
        """Let go of it, and of its container."""
        self.end()
        self._daemon.remove("container", self._init.id)


class Held:
    """A packet fault whose init container is there already: it comes and goes in milliseconds."""

    def __init__(
        self, hands: Hands, name: str, lost: Sequence[losing.Lost], let_go: Callable[[Hands], object]
    ) -> None:
        self._hands = hands
        self._let_go = let_go
        self._name = name
        self._lost = lost

    def lose(self) -> None:
        """Have packets vanish from now on."""
        self._hands.commit(pod_rules.losses(self._name, self._lost))

    def lost(self) -> int:
        """How many have vanished."""
        chain = losing.chain_name(self._name, "")
        return losing.dropped_of(chain, self._hands.dump(losing.rules_request()))

    def restore(self) -> int:
        """Let packets through again; how many have vanished."""
        packets = self.lost()
        self._hands.commit(pod_rules.restored(self._name))
        return packets

    def end(self) -> None:
        """Let go of the container."""
        self._let_go(self._hands)


class Inits:
    """Makes them, one for each thing to do."""

    def __init__(self, daemon: Daemon, shape: Shape, later: Callable[[Callable[[], Any]], Any]) -> None:
        self._daemon = daemon
        self._shape = shape
        self._later = later
        self._numbers = itertools.count(1)
        self._idle: list[Hands] = []
        """Those that are done, of pods that are about to be ready."""

    def make(self, key: str, owner: str) -> Hands:
        """One for the network namespace that a container owns, not started yet."""
        spec = self._shape.init(key, owner, next(self._numbers))
        return Hands(self._daemon, key, Container(self._daemon, spec, f"{key} init"))

    def hold(self, key: str, owner: str, name: str, lost: Sequence[losing.Lost]) -> Held:
        """Have one ready that waits to lose packets."""
        hands = self.make(key, owner)
        hands.start()
        return Held(hands, name, lost, self._let_go)

    def run(self, key: str, owner: str, messages: Sequence[Message]) -> None:
        """Apply messages in the namespace that a container owns."""
        hands = self.make(key, owner)
        _start(hands, messages)
        self._let_go(hands)

    def begin(self, hands: Hands, messages: Sequence[Message]) -> None:
        """Apply a pod's first messages; the container's end, which costs as much as its start, can wait."""
        _start(hands, messages)
        self._idle.append(hands)

    def clear(self) -> None:
        """The pods are ready: end one container that is done after the other."""
        idle, self._idle = self._idle, []

        def one_by_one() -> None:
            for hands in idle:
                hands.remove()

        self._later(one_by_one)

    def close(self) -> None:
        """Let go of the rest; whoever ends the run removes them."""
        for hands in self._idle:
            hands.end()

    def _let_go(self, hands: Hands) -> None:
        hands.end()
        self._later(hands.remove)


def _start(hands: Hands, messages: Sequence[Message]) -> None:
    hands.start()
    hands.commit(messages)
