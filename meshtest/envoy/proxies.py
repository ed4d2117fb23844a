"""Every proxy of the mesh, and the connections by which they come."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from meshtest.envoy.ads import Stream
from meshtest.envoy.signals import Signal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from envoy.service.discovery.v3 import discovery_pb2

    from meshtest.envoy.ads import Proxy


class Proxies:
    """Every proxy of the mesh, by node id."""

    def __init__(self) -> None:
        self.by_id: dict[str, Proxy] = {}
        self.arrived = Signal()

    async def serve(
        self, requests: AsyncIterator[discovery_pb2.DeltaDiscoveryRequest]
    ) -> AsyncIterator[discovery_pb2.DeltaDiscoveryResponse]:
        """One ADS connection from its first request to its end."""
        first = await anext(requests, None)
        if first is None:
            return
        node = first.node.id
        await self.arrived.until(lambda: node in self.by_id, float("inf"))
        proxy = self.by_id[node]
        stream = Stream(proxy)
        proxy.stream = stream
        stream.received(first)
        reading = asyncio.create_task(_read(requests, stream))
        try:
            async for response in stream.responses():
                yield response
        finally:
            reading.cancel()
            if proxy.stream is stream:
                proxy.stream = None
            proxy.signal.notify()


async def _read(requests: AsyncIterator[discovery_pb2.DeltaDiscoveryRequest], stream: Stream) -> None:
    try:
        async for request in requests:
            stream.received(request)
    finally:
        stream.close()
