"""Bringing a change to one Envoy and knowing when it is live.

    clusters, endpoints ──► listeners, routes ──► removals          make before break, each step acknowledged
                            then: nothing warming, nothing draining, one round trip through the worker thread

An acknowledgement comes from Envoy's main thread. Its worker may still hold the old configuration, and pooled
connections stay with the filter chain that accepted them until it is drained: only after both is no request
left that could meet the old policy.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from meshtest.envoy.bootstrap import socket_path
from meshtest.envoy.peers import peers
from meshtest.envoy.refusals import FAILED_LISTENERS, listener_failures
from meshtest.envoy.sockets import UnixHttp
from meshtest.errors import RuntimeFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshtest.envoy.ads import Proxy
    from meshtest.envoy.refusals import Refusal
    from meshtest.envoy.resources import Changes

_GAUGES = (
    "cluster_manager.warming_clusters",
    "listener_manager.total_listeners_warming",
    "listener_manager.total_listeners_draining",
    "listener_manager.total_filter_chains_draining",
)
_QUERY = f"/stats?type=Gauges&filter=^({'|'.join(_GAUGES)})$".replace(".", "\\.")
_STEP = 0.001


class Envoy:
    """One running Envoy: its stream, its admin interface and its probe listener."""

    def __init__(self, proxy: Proxy, directory: str) -> None:
        self.proxy = proxy
        self.admin = UnixHttp(socket_path(directory, proxy.context.pod, "admin"))
        self._probe = UnixHttp(socket_path(directory, proxy.context.pod, "probe"))

    def begin(self) -> None:
        """Let it have its first configuration, now or when it connects."""
        if not self.proxy.primed:
            self.proxy.primed = True
            if self.proxy.stream is not None:
                self.proxy.stream.prime()

    async def ready(self, deadline: float) -> None:
        """Wait until it has connected, has taken everything and nothing of it is still warming."""
        await self._acknowledged(deadline)
        await self._steady(deadline)

    async def bring(self, changes: Changes, deadline: float) -> None:
        """Send what changed and wait until nothing of the old is in use."""
        if changes.touches("CDS", "EDS"):
            self._resend_endpoints(changes)
            self._push(("CDS", "EDS"), sets=True, removals=False)
            if changes.sets("CDS"):
                await self._acknowledged(deadline)
                await self._steady(deadline)
        self._push(("ECDS", "LDS", "RDS", "SDS"), sets=True, removals=True)
        await self._acknowledged(deadline)
        if changes.touches("LDS"):
            await self._steady(deadline)
        if changes.removed.get("CDS") or changes.removed.get("EDS"):
            self._push(("CDS", "EDS"), sets=False, removals=True)
            await self._acknowledged(deadline)

    async def through_worker(self, deadline: float) -> None:
        """One round trip through its worker thread, behind all that the main thread has posted to it."""
        await self._retrying(self._probe, "/", deadline)

    async def explained(self, refusals: Sequence[Refusal]) -> list[Refusal]:
        """The same refusals, with the reason of those that Envoy cut off."""
        found: list[Refusal] = []
        for refusal in refusals:
            said = ""
            if refusal.cut_off and refusal.kind == "LDS":
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    said = listener_failures((await self.admin.ask(FAILED_LISTENERS)).body)
            found.append(replace(refusal, said=said or refusal.said))
        return found

    def peers(self) -> frozenset[str] | None:
        """Addresses that its pod has, or just had, connections with; None where that cannot be seen."""
        return peers(self.admin.process())

    def close(self) -> None:
        """Close the connections to its sockets."""
        self.admin.close()
        self._probe.close()

    def _push(self, kinds: tuple[str, ...], *, sets: bool, removals: bool) -> None:
        if self.proxy.stream is not None:
            for kind in kinds:
                self.proxy.stream.push(kind, sets=sets, removals=removals)

    def _resend_endpoints(self, changes: Changes) -> None:
        """A changed cluster warms until its endpoints come again (istiod names both alike)."""
        if self.proxy.stream is not None:
            self.proxy.stream.forget("EDS", changes.changed.get("CDS", ()))

    async def _acknowledged(self, deadline: float) -> None:
        if not await self.proxy.signal.until(self.proxy.settled, deadline):
            raise RuntimeFailure(f"{self.proxy.context.pod}: {self.proxy.state()}")

    async def _steady(self, deadline: float) -> None:
        """Wait until nothing warms or drains; a refusal that arrives meanwhile ends it."""
        loop = asyncio.get_running_loop()
        while busy := await self._busy(deadline):
            self.proxy.settled()
            if loop.time() > deadline:
                raise RuntimeFailure(f"{self.proxy.context.pod}: not live yet: {', '.join(busy)}")
            await asyncio.sleep(_STEP)
        await self._acknowledged(deadline)

    async def _busy(self, deadline: float) -> list[str]:
        text = await self._retrying(self.admin, _QUERY, deadline)
        values = dict(re.findall(r"^(\S+): (\d+)$", text.decode(), re.MULTILINE))
        return [f"{name} {values.get(name)}" for name in _GAUGES if values.get(name) != "0"]

    async def _retrying(self, client: UnixHttp, target: str, deadline: float) -> bytes:
        """Ask; an Envoy that is starting does not listen yet."""
        loop = asyncio.get_running_loop()
        while True:
            remaining = deadline - loop.time()
            try:
                async with asyncio.timeout(max(remaining, 0.001)):
                    answer = await client.ask(target)
            except (OSError, asyncio.IncompleteReadError) as exc:
                if remaining <= 0:
                    raise RuntimeFailure(
                        f"{self.proxy.context.pod}: its Envoy does not answer: {exc}"
                    ) from exc
                await asyncio.sleep(_STEP)
            else:
                return answer.body
