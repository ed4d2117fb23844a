"""Delta ADS: one stream per Envoy, on which it subscribes and acknowledges.

    Envoy ──subscribe──► Stream ──answer──► Envoy ──ACK | NACK (with its reason)──► Stream

A `Proxy` outlives its streams: it holds what its Envoy shall have. After a reconnect Envoy says what it
has, and gets the difference.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshtest.envoy.refusals import Refusal, readable, summary
from meshtest.envoy.resources import KINDS, TYPE_URLS, WILDCARD_KINDS, Changes, Resource, message
from meshtest.envoy.signals import Signal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from envoy.service.discovery.v3 import discovery_pb2

    from meshtest.envoy.decorate import Context


class Rejected(Exception):  # noqa: N818 - the kind of error that the caller reads
    """Raised when an Envoy refused (NACKed) what it was sent."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        self.refusals = tuple(refusals)
        super().__init__(summary(refusals))


@dataclass(slots=True)
class Subscription:
    """What an Envoy asked for of one kind, and the versions it was sent."""

    wildcard: bool = False
    names: set[str] = field(default_factory=set)
    sent: dict[str, str] = field(default_factory=dict)

    def wants(self, name: str) -> bool:
        """Whether this resource is subscribed to."""
        return self.wildcard or name in self.names


class Proxy:
    """One Envoy as the control plane sees it."""

    def __init__(self, context: Context, workload: str = "") -> None:
        self.context = context
        self.workload = workload
        """`namespace/name` of what its pod is a replica of."""
        self.resources: dict[str, dict[str, Resource]] = {}
        self.poisoned = False
        """Whether everything it is sent is made to be refused."""
        self.refused = 0
        """How many times that has happened."""
        self.primed = False
        """Whether its first configuration has arrived; until then subscriptions wait."""
        self.stream: Stream | None = None
        self.signal = Signal()
        self.refusals: list[Refusal] = []
        self.unusable: dict[str, str] = {}
        """Secrets that its Envoy refused, and why: whoever gave them is told, and all else goes on, as in a cluster."""

    def settled(self) -> bool:
        """Whether its Envoy has acknowledged everything; raises Rejected if it refused something.

        What was made to be refused may be refused when the fault that had it made is over: that is no news then.
        """
        refusals = [refusal for refusal in self.refusals if self.poisoned or not refusal.on_purpose]
        if refusals:
            raise Rejected(refusals)
        return self.stream is not None and self.stream.complete()

    def without_secrets(self) -> dict[str, str]:
        """Secrets that its Envoy asked for and has not got as they are now; empty where there is none of that name."""
        asked = self.stream.subscriptions.get("SDS") if self.stream else None
        known = self.resources.get("SDS", {})
        absent = {name: "" for name in (asked.names if asked else ()) if name not in known}
        return absent | {name: said for name, said in self.unusable.items() if name in known}

    def state(self) -> str:
        """What it is waited for."""
        if self.stream is None:
            return "its Envoy is not connected"
        waiting = sorted({kind for kind, _ in self.stream.pending.values()})
        missing = sorted(kind for kind in WILDCARD_KINDS if kind not in self.stream.subscriptions)
        if waiting:
            return f"its Envoy has not acknowledged {', '.join(waiting)}"
        if missing:
            return f"its Envoy has not asked for {', '.join(missing)} yet"
        return "its Envoy has acknowledged everything"


class Stream:
    """One delta ADS connection."""

    def __init__(self, proxy: Proxy) -> None:
        self.subscriptions: dict[str, Subscription] = {}
        self.pending: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._poisoned: set[str] = set()
        """Of the messages sent, those that were made to be refused."""
        self._warming: set[str] = set()
        """Clusters that a reconnected Envoy did not have like this: each wants its endpoints again."""
        self._proxy = proxy
        self._outgoing: asyncio.Queue[discovery_pb2.DeltaDiscoveryResponse | None] = asyncio.Queue()
        self._nonces = itertools.count(1)

    def complete(self) -> bool:
        """Whether everything that was sent is acknowledged, listeners included."""
        return not self.pending and self.subscriptions.keys() >= WILDCARD_KINDS

    async def responses(self) -> AsyncIterator[discovery_pb2.DeltaDiscoveryResponse]:
        """What goes out, until `close`."""
        while (response := await self._outgoing.get()) is not None:
            yield response

    def close(self) -> None:
        """End the stream."""
        self._outgoing.put_nowait(None)

    def received(self, request: discovery_pb2.DeltaDiscoveryRequest) -> None:
        """Take an acknowledgement or a subscription."""
        kind = KINDS.get(request.type_url)
        if kind is None:
            return
        if request.response_nonce:
            self._acknowledged(request)
        first = kind not in self.subscriptions
        subscription = self.subscriptions.setdefault(kind, Subscription())
        added = set(request.resource_names_subscribe)
        if first:
            subscription.sent.update(request.initial_resource_versions)
            subscription.wildcard = "*" in added or (kind in WILDCARD_KINDS and not added)
        added.discard("*")
        subscription.names |= added
        subscription.names.difference_update(request.resource_names_unsubscribe)
        for name in request.resource_names_unsubscribe:
            subscription.sent.pop(name, None)
        if self._proxy.primed:
            if first:
                self._open(kind)
            elif added:
                self._answer(kind, added)
        self._proxy.signal.notify()

    def prime(self) -> None:
        """Answer what was asked for before there was an answer."""
        for kind in TYPE_URLS:
            if kind in self.subscriptions:
                self._open(kind)

    def push(self, kind: str, *, sets: bool = True, removals: bool = True) -> None:
        """Send what the Envoy has not, of what it subscribed to."""
        subscription = self.subscriptions.get(kind)
        if subscription is None:
            return
        wanted = self._proxy.resources.get(kind, {})
        changed = [
            (name, resource)
            for name, resource in wanted.items()
            if subscription.wants(name) and subscription.sent.get(name) != resource.version
        ]
        gone = [name for name in subscription.sent if name not in wanted]
        if (changed and sets) or (gone and removals):
            self._send(kind, changed if sets else (), gone if removals else ())

    def forget(self, kind: str, names: Iterable[str]) -> None:
        """Have `push` send these again: a new version of a cluster waits for its endpoints."""
        subscription = self.subscriptions.get(kind)
        for name in names if subscription else ():
            subscription.sent.pop(name, None)  # type: ignore[union-attr]  # not empty without one

    def _open(self, kind: str) -> None:
        """Answer the first request of a kind: everything, or after a reconnect what it lacks."""
        subscription = self.subscriptions[kind]
        if kind == "CDS" and subscription.sent:
            self._warming = self._lacking(kind)
            self.forget("EDS", self._warming)
        if kind == "EDS":
            self.forget("EDS", self._warming)
        unknown = subscription.names - self._proxy.resources.get(kind, {}).keys()
        if subscription.wildcard and not subscription.sent:
            # Envoy starts only after the first answer, so an empty one has to be sent too.
            self._send(kind, self._proxy.resources.get(kind, {}).items(), ())
            return
        self.push(kind)
        if kind == "CDS":
            self.push("EDS", removals=False)
        if unknown:
            self._answer(kind, unknown)

    def lacking(self) -> Changes:
        """What the Envoy was not sent yet, of what it subscribed to."""
        found = Changes()
        for kind, subscription in self.subscriptions.items():
            wanted = self._proxy.resources.get(kind, {})
            found.changed[kind] = {name for name in self._lacking(kind) if subscription.wants(name)}
            found.removed[kind] = subscription.sent.keys() - wanted.keys()
        return found

    def _lacking(self, kind: str) -> set[str]:
        sent = self.subscriptions[kind].sent
        wanted = self._proxy.resources.get(kind, {})
        return {name for name, resource in wanted.items() if sent.get(name) != resource.version}

    def _answer(self, kind: str, names: set[str]) -> None:
        """Answer a subscription by name: always, since Envoy may have dropped what it had been sent before.

        Names that nobody knows are answered too, as istiod does, or Envoy would go on waiting.
        """
        wanted = self._proxy.resources.get(kind, {})
        found = [(name, wanted[name]) for name in sorted(names) if name in wanted]
        unknown = [name for name in names if name not in wanted]
        if found or unknown:
            self._send(kind, found, unknown)

    def _send(self, kind: str, resources: Iterable[tuple[str, Resource]], removed: Iterable[str]) -> None:
        """Secrets go one by one, so that an Envoy which refuses one still takes the others."""
        changed, gone = list(resources), list(removed)
        if kind == "SDS" and changed:
            for one in changed[:-1]:
                self._send_together(kind, [one], [])
            changed = changed[-1:]
        self._send_together(kind, changed, gone)

    def _send_together(self, kind: str, resources: list[tuple[str, Resource]], removed: list[str]) -> None:
        nonce = str(next(self._nonces))
        sent = self.subscriptions[kind].sent
        sent.update({name: resource.version for name, resource in resources})
        for name in removed:
            sent.pop(name, None)
        names = (*(name for name, _ in resources), *removed)
        self.pending[nonce] = (kind, names)
        if self._proxy.poisoned:
            self._poisoned.add(nonce)
        self._outgoing.put_nowait(message(kind, nonce, resources, removed))

    def _acknowledged(self, request: discovery_pb2.DeltaDiscoveryRequest) -> None:
        kind, names = self.pending.pop(request.response_nonce, ("", ()))
        refused = request.HasField("error_detail")
        if kind == "SDS":
            for name in names:
                self._proxy.unusable.pop(name, None)
            if refused:
                self._proxy.unusable.update(dict.fromkeys(names, readable(request.error_detail.message)))
        elif refused:
            said = request.error_detail.message
            self._proxy.refusals.append(
                Refusal(
                    pod=self._proxy.context.pod,
                    kind=kind,
                    names=names,
                    said=said,
                    on_purpose=request.response_nonce in self._poisoned,
                )
            )


def apply_changes(
    proxy: Proxy, fresh: dict[str, dict[str, Resource]], removed: Iterable[tuple[str, str]]
) -> Changes:
    """Take new resources into what a proxy shall have; says what really changed."""
    changes = Changes()
    for kind, named in fresh.items():
        known = proxy.resources.setdefault(kind, {})
        for name, resource in named.items():
            before = known.get(name)
            known[name] = resource
            if before is None or before.version != resource.version:
                changes.changed.setdefault(kind, set()).add(name)
    for kind, name in removed:
        if proxy.resources.get(kind, {}).pop(name, None) is not None:
            changes.removed.setdefault(kind, set()).add(name)
    return changes
