"""Secrets of the proxy's agent: its identity, the mesh's root and files, at `sds-grpc` as istiod's configuration asks.

Those of a `credentialName` are istiod's own and come over ADS with the rest. Envoy opens one stream per secret. One
that is not there is not answered for: Envoy goes on waiting, as it does when Istio's agent has none.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from envoy.config.core.v3 import base_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, secret_pb2
from envoy.service.discovery.v3 import discovery_pb2

from meshtest.envoy.resources import TYPE_URLS, Resource
from meshtest.envoy.secret_files import PREFIXES, Disk
from meshtest.envoy.signals import Signal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

IDENTITY = "default"
ROOT = "ROOTCA"
EVERYBODY = "*"
ROOT_SUFFIX = "-cacert"


@dataclass(slots=True)
class _Watch:
    """One stream of one Envoy for one secret."""

    node: str
    name: str
    wanted: asyncio.Event
    acknowledged: str = ""
    refused: str = ""


@dataclass(slots=True)
class Secrets:
    """All secrets, by node id (or everybody) and name, and who watches them."""

    by_name: dict[tuple[str, str], Resource] = field(default_factory=dict)
    disk: Disk = field(default_factory=Disk)
    """Where secrets are found that are files."""
    signal: Signal = field(default_factory=Signal)
    expected: set[str] = field(default_factory=set)
    """Nodes that will ask, though they have not yet: their streams to an earlier control plane have ended."""
    withheld: set[str] = field(default_factory=set)
    """Nodes that get no answer."""
    unanswered: dict[str, int] = field(default_factory=dict)
    """How many answers each of these did not get."""
    on_end: Callable[[], None] = lambda: None
    """Called when an Envoy watches a secret no more."""
    _watches: list[_Watch] = field(default_factory=list)
    _read: dict[tuple[str, str], Resource] = field(default_factory=dict)
    """What was read from files."""

    def find(self, node: str, name: str) -> Resource | None:
        """A proxy's own secret, else everybody's, else the files that it names."""
        found = self.by_name.get((node, name)) or self.by_name.get((EVERYBODY, name))
        return found or self._read.get((node, name)) or self._from_disk(node, name)

    def _from_disk(self, node: str, name: str) -> Resource | None:
        pem = self.disk.read(node, name)
        if pem is None:
            return None
        value = (
            root_secret(name, pem["ca"]) if "ca" in pem else identity_secret(name, pem["cert"], pem["key"])
        )
        found = self._read[node, name] = Resource.of(value, value)
        return found

    def read_again(self) -> None:
        """Other files stand on the proxies' disks: whoever watches one that changed is sent it."""
        self._read.clear()
        for watch in self._watches:
            if watch.name.startswith(PREFIXES):
                watch.wanted.set()

    def put(self, node: str, name: str, secret: bytes) -> None:
        """Set a secret and send it to whoever watches it."""
        self.by_name[node, name] = Resource.of(secret, secret)
        for watch in self._watches:
            if watch.name == name and node in (watch.node, EVERYBODY):
                watch.wanted.set()

    def drop(self, node: str, name: str) -> None:
        """Take a proxy's own secret away; everybody's holds for it again."""
        if self.by_name.pop((node, name), None) is not None and self.find(node, name) is not None:
            self._wake({node}, name)

    def forget(self, node: str) -> None:
        """An Envoy has ended; another one of its name has acknowledged nothing."""
        self.drop(node, ROOT)
        self.unanswered.pop(node, None)
        self._watches = [watch for watch in self._watches if watch.node != node]

    def withhold(self, nodes: Iterable[str]) -> None:
        """Answer these no more, and count anew what they ask for in vain."""
        for node in nodes:
            self.withheld.add(node)
            self.unanswered.pop(node, None)

    async def asked_in_vain(self, node: str, deadline: float) -> bool:
        """Whether one has asked before the deadline, and got no answer."""
        return await self.signal.until(lambda: bool(self.unanswered.get(node)), deadline)

    def answer_again(self, nodes: set[str]) -> None:
        """Give these what they ask for."""
        self.withheld -= nodes
        self._wake(nodes)

    def keeps_from_starting(self, node: str) -> bool:
        """Whether an Envoy is given nothing and has nothing: no listener of it that needs a certificate opens."""
        return node in self.withheld and not any(w.acknowledged for w in self._watches if w.node == node)

    def watching(self, name: str) -> set[str]:
        """The nodes that have asked for a secret."""
        return {watch.node for watch in self._watches if watch.name == name}

    def starved(self, node: str) -> list[str]:
        """Files that an Envoy has not got and will not get as they are: they are not there, or it refused them."""
        watches = [one for one in self._watches if one.node == node and one.name.startswith(PREFIXES)]
        return sorted({one.name for one in watches if not one.acknowledged and self._hopeless(one)})

    def _hopeless(self, watch: _Watch) -> bool:
        secret = self.find(watch.node, watch.name)
        return secret is None or watch.refused.startswith(secret.version)

    def files_known(self) -> bool:
        """Whether every Envoy has answered to the files that it was sent last."""
        return all(
            watch.acknowledged == secret.version or watch.refused.startswith(secret.version)
            for watch in self._watches
            if watch.name.startswith(PREFIXES)
            and watch.node not in self.withheld
            and (secret := self.find(watch.node, watch.name)) is not None
        )

    def _wake(self, nodes: set[str], name: str = "") -> None:
        for watch in self._watches:
            if watch.node in nodes and name in ("", watch.name):
                watch.wanted.set()

    def missing(self, node: str) -> list[str]:
        """Secrets that an Envoy waits for in vain."""
        return sorted({w.name for w in self._watches if w.node == node and self.find(node, w.name) is None})

    def delivered(self, node: str, name: str) -> bool:
        """Whether every watch of an Envoy has acknowledged the present secret; raises if it refused."""
        secret = self.find(node, name)
        watches = [watch for watch in self._watches if watch.node == node and watch.name == name]
        for watch in watches:
            if watch.refused and secret and watch.refused.startswith(secret.version):
                raise ValueError(f"{node} refused secret {name}: {watch.refused.partition(' ')[2]}")
        if name == IDENTITY and node in self.expected and not watches:
            return False
        return secret is not None and all(watch.acknowledged == secret.version for watch in watches)

    async def serve(
        self, requests: AsyncIterator[discovery_pb2.DiscoveryRequest]
    ) -> AsyncIterator[discovery_pb2.DiscoveryResponse]:
        """One state-of-the-world stream."""
        first = await anext(requests, None)
        if first is None or not first.resource_names:
            return
        watch = _Watch(first.node.id, first.resource_names[0], asyncio.Event())
        watch.wanted.set()
        self._watches.append(watch)
        reading = asyncio.create_task(self._listen(requests, watch))
        try:
            async for response in self._responses(watch, reading):
                yield response
        finally:
            reading.cancel()
            self._watches = [each for each in self._watches if each is not watch]
            self.signal.notify()
            self.on_end()

    async def _responses(
        self, watch: _Watch, reading: asyncio.Task[None]
    ) -> AsyncIterator[discovery_pb2.DiscoveryResponse]:
        for nonce in itertools.count(1):
            await watch.wanted.wait()
            watch.wanted.clear()
            if reading.done():
                return
            secret = self.find(watch.node, watch.name)
            if secret is not None and watch.node in self.withheld:
                self.unanswered[watch.node] = self.unanswered.get(watch.node, 0) + 1
                self.signal.notify()
            elif secret is not None:
                response = discovery_pb2.DiscoveryResponse(
                    version_info=secret.version, type_url=TYPE_URLS["SDS"], nonce=str(nonce)
                )
                response.resources.add(type_url=TYPE_URLS["SDS"], value=secret.value)
                yield response

    async def _listen(self, requests: AsyncIterator[discovery_pb2.DiscoveryRequest], watch: _Watch) -> None:
        try:
            async for request in requests:
                secret = self.find(watch.node, watch.name)
                if request.HasField("error_detail"):
                    watch.refused = f"{secret.version if secret else ''} {request.error_detail.message}"
                else:
                    watch.acknowledged = request.version_info
                self.signal.notify()
        finally:
            watch.wanted.set()


def identity_secret(name: str, certificate: str, key: str) -> bytes:
    """A certificate with its key."""
    tls = common_pb2.TlsCertificate(
        certificate_chain=base_pb2.DataSource(inline_string=certificate),
        private_key=base_pb2.DataSource(inline_string=key),
    )
    return bytes(secret_pb2.Secret(name=name, tls_certificate=tls).SerializeToString(deterministic=True))


def root_secret(name: str, root: str, revoked: str = "") -> bytes:
    """What certificates are verified by, and which are not good any more."""
    context = common_pb2.CertificateValidationContext(trusted_ca=base_pb2.DataSource(inline_string=root))
    if revoked:
        context.crl.inline_string = revoked
    return bytes(
        secret_pb2.Secret(name=name, validation_context=context).SerializeToString(deterministic=True)
    )
